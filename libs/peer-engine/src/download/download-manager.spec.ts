import { DfError } from '@dragonfly/errors';
import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { crc32 } from '@dragonfly/vortex';
import { resolveIdentity } from '../host/identity.js';
import type { SourceOptions } from './attempt-services.js';
import { DownloadManager } from './download-manager.js';
import { requestOfDownload, type DownloadRequest } from './download-request.js';

const PIECE = 4 * 1024 * 1024;
const CONTENT_LENGTH = 3 * PIECE;

type Source = (options: SourceOptions, signal: AbortSignal) => Promise<void>;

let dir: TempDir;
let store: PieceStore;
/** What the source does for requests with this `x-test` header. */
let sources: Map<string, Source>;
let sourceCalls: string[];
let prepareCalls: number;
/** Stands for the origin's answer to the first question; undefined: it is fine. */
let preparing: ((request: DownloadRequest, signal: AbortSignal) => Promise<void>) | undefined;
let downloads: DownloadManager;

beforeEach(async () => {
  dir = tempDir('downloads');
  store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
  sources = new Map();
  sourceCalls = [];
  prepareCalls = 0;
  preparing = undefined;
  const identity = resolveIdentity({ ip: '127.0.0.1', hostname: 'test', prefersIpv6: false, isSeed: false });
  downloads = new DownloadManager(
    {
      attempts: {
        hostId: identity.hostId,
        newPeerId: () => identity.newPeerId(),
        maxScheduleCount: 1,
        scheduleTimeoutMs: 1000,
        concurrentPieceCount: 1,
        schedulersFor: () => [],
        openConversation: unexpected,
        announceHost: unexpected,
        reportDown: unexpected,
        fetchFromParents: unexpected,
        fetchFromSource: async (options, signal) => {
          const name = options.request.headers['x-test'] ?? '';
          sourceCalls.push(name);
          await sources.get(name)?.(options, signal);
        },
        learnLength: unexpected,
        holdSource: unexpected,
        hearNews: unexpected,
        lossPatienceMs: 0,
        lookForSchedulers: async () => false,
        maySourceWithoutScheduler: true,
        hasSchedulers: () => false,
      },
      prepare: async (request, signal) => {
        prepareCalls += 1;
        await preparing?.(request, signal);
        return { task: await aTask(request) };
      },
      usesScheduler: () => false,
      discard: unexpected,
      log: silentLogger(),
    },
    { begin: () => () => {} },
  );
});

afterEach(async () => {
  await downloads.stop();
  await store.close();
  dir.remove();
});

function unexpected(): never {
  throw new Error('not expected here');
}

/** A request for one piece, or for all of them. */
function aRequest(name: string, piece?: number): DownloadRequest {
  return requestOfDownload(
    commonV2.Download.fromPartial({
      url: 'http://origin/file',
      requestHeader: { 'x-test': name },
      range: piece === undefined ? undefined : { start: BigInt(piece * PIECE), length: BigInt(PIECE) },
    }),
  );
}

function aTask({ taskId }: DownloadRequest): Promise<StoredTask> {
  return store.getOrCreate('standard', taskId, {
    pieceLengthBytes: PIECE,
    contentLengthBytes: CONTENT_LENGTH,
    url: 'http://origin/file',
    filteredQueryParams: [],
  });
}

function get(request: DownloadRequest, signal = new AbortController().signal): ReturnType<DownloadManager['download']> {
  return downloads.download(request, {}, signal);
}

async function bringAll({ task, pieces = [] }: SourceOptions): Promise<void> {
  const bytes = Buffer.alloc(PIECE);
  for (const number of pieces) {
    const writer = task.beginPiece(number);
    if (typeof writer === 'string') continue;
    await writer.write(bytes, 0);
    await writer.commit({ lengthBytes: PIECE, crc32: crc32(bytes), trafficType: 0, costMs: 1 });
  }
}

async function until(condition: () => boolean): Promise<void> {
  await waitFor(condition, { what: 'requests under way' });
}

describe('requests for one task', () => {
  it('go on when another one for other pieces fails', async () => {
    const failed = Promise.withResolvers<void>();
    sources.set('a', async () => {
      throw new DfError('origin', 'answered 403', { details: { statusCode: 403 } });
    });
    sources.set('b', async (options) => {
      await failed.promise;
      await bringAll(options);
    });
    const b = get(aRequest('b', 1));
    await until(() => sourceCalls.includes('b'));
    await expect(get(aRequest('a', 0))).rejects.toMatchObject({ code: 'origin' });
    failed.resolve();
    await expect(b).resolves.toMatchObject({ isLocalHit: false });
  });

  it('take over a download that failed for another one with other headers', async () => {
    const bothThere = Promise.withResolvers<void>();
    sources.set('a', async () => {
      await bothThere.promise;
      throw new DfError('origin', 'answered 403', { details: { statusCode: 403 } });
    });
    sources.set('b', bringAll);
    const a = get(aRequest('a'));
    await until(() => sourceCalls.includes('a'));
    const b = get(aRequest('b'));
    await until(() => downloads.activeRequests === 2);
    bothThere.resolve();
    await expect(a).rejects.toMatchObject({ code: 'origin' });
    await expect(b).resolves.toMatchObject({ isLocalHit: false });
  });

  it('that ask alike fail together, without asking the source once for each', async () => {
    const allThere = Promise.withResolvers<void>();
    sources.set('a', async () => {
      await allThere.promise;
      throw new DfError('origin', 'answered 503', { details: { statusCode: 503 } });
    });
    const all = Array.from({ length: 20 }, () => get(aRequest('a')));
    await until(() => downloads.activeRequests === 20 && sourceCalls.length === 1);
    allThere.resolve();
    const ends = await Promise.allSettled(all);
    expect(ends.every((end) => end.status === 'rejected' && DfError.from(end.reason).code === 'origin')).toBe(true);
    expect(sourceCalls).toEqual(['a']);
    expect((await aTask(aRequest('a'))).failure).toBeDefined();
  });

  it('that ask alike share the answer of an origin that refuses', async () => {
    const allThere = Promise.withResolvers<void>();
    preparing = async () => {
      await allThere.promise;
      throw new DfError('origin', 'answered 404', { details: { statusCode: 404 } });
    };
    const all = Array.from({ length: 20 }, () => get(aRequest('a')));
    await until(() => downloads.activeRequests === 20);
    allThere.resolve();
    await Promise.allSettled(all);
    expect(prepareCalls).toBe(1);
  });

  it('do not fail because the one that asked the origin went away', async () => {
    sources.set('a', bringAll);
    preparing = (_request, signal) =>
      prepareCalls > 1
        ? Promise.resolve()
        : new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(DfError.from(signal.reason, 'cancelled'));
            });
          });
    const gone = new AbortController();
    const first = get(aRequest('a'), gone.signal);
    const others = [get(aRequest('a')), get(aRequest('a'))];
    await until(() => downloads.activeRequests === 3);
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await Promise.all(others);
    expect(prepareCalls).toBe(2);
  });

  it('that come while a deleted one still ends begin anew', async () => {
    sources.set(
      'a',
      (_options, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(DfError.from(signal.reason, 'cancelled'));
          });
        }),
    );
    const first = get(aRequest('a'));
    await until(() => sourceCalls.length === 1);
    void downloads.abortTask('standard', aRequest('a').taskId, new DfError('cancelled', 'the task was deleted'));
    sources.set('a', bringAll);
    const second = get(aRequest('a'));
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(second).resolves.toMatchObject({ isLocalHit: false });
  });
});
