import { type MethodDefinition, status } from '@grpc/grpc-js';
import { commonV2, type DeepPartial, schedulerV2, serialize } from '@dragonfly/proto';
import { waitFor } from '@dragonfly/testkit';
import fc from 'fast-check';
import { aDownload, aPiece } from './support/announcements.js';
import { KindClient } from './support/durable-kinds.js';
import { callRaw, type Parting, streamRaw } from './support/raw-calls.js';
import { TestCluster } from './support/test-cluster.js';
import type { TestPeer } from './support/test-peer.js';

/** Printed in the names of the tests: a failure is repeated with it. */
const SEED = Number(process.env['DRAGONFLY_FUZZ_SEED'] ?? 20_260_802);
const RUNS = { unary: 25, stream: 60 };
const MIB = 1024 * 1024;
const HUGE = 'x'.repeat(300_000);

/** What a scheduler may answer to nonsense. UNKNOWN is not among them: it would be an error that nobody thought of. */
const ALLOWED: ReadonlySet<status> = new Set([
  status.OK,
  status.CANCELLED,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.RESOURCE_EXHAUSTED,
  status.INTERNAL,
]);

type Method = MethodDefinition<unknown, unknown>;

let cluster: TestCluster;
let victim: TestPeer;
let victimBefore: commonV2.Peer;
const victimUpload = { hostId: '', taskId: 'victim-kept', peerId: 'victim-kept-peer' };

beforeAll(async () => {
  cluster = await TestCluster.start({ changes: { SERVER__REQUEST_RATE_LIMIT: '100000' } });
  victim = await cluster.peer('victim-task', await cluster.host('victim'));
  await victim.register();
  await victim.answer();
  await victim.sourceStarted();
  await victim.sourcePiece(0);
  await waitFor(async () => (await cluster.statPeer(victim.id)).pieces.length === 1, {
    what: 'the piece of the victim',
  });
  victimBefore = await cluster.statPeer(victim.id);
  victimUpload.hostId = victim.ids.hostId;
  const kept = new KindClient('persistentCache', cluster.client);
  await kept.uploadStarted(victimUpload);
  await kept.uploadFinished(victimUpload);
  await cluster.host('attacker');
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

function methods(isStream: boolean): [string, Method][] {
  return Object.values(schedulerV2.SchedulerService)
    .filter(({ requestStream }) => requestStream === isStream)
    .map((method) => [method.path.split('/').at(-1) ?? '', method as Method]);
}

const id = (own: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(own) },
    fc.constantFrom('', 'unknown', HUGE, '../..', 'ä\u0000', victim.id, victim.ids.taskId, victim.ids.hostId),
  );

/** Who a message claims to be about: mostly the sender, sometimes somebody else or nobody. */
const attackerIds = (peerId: string): fc.Arbitrary<{ hostId: string; taskId: string; peerId: string }> =>
  fc.record({ hostId: id('127.0.0.1-attacker'), taskId: id('attacker-task'), peerId: id(peerId) });

const mess = fc.oneof(
  { weight: 8, arbitrary: fc.constant((bytes: Buffer) => bytes) },
  fc.nat(200).map((cut) => (bytes: Buffer) => bytes.subarray(0, Math.max(0, bytes.length - cut))),
  fc.tuple(fc.nat(500), fc.nat(255)).map(([at, value]) => (bytes: Buffer) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy[at % copy.length] = value;
    return copy;
  }),
  fc.uint8Array({ maxLength: 64 }).map((noise) => (bytes: Buffer) => Buffer.concat([bytes, noise])),
);

async function expectVictimUnharmed(): Promise<void> {
  // Whoever names the victim's task joins it, so that its count of peers and its time may change.
  const { task: _task, updatedAt: _updatedAt, ...peer } = await cluster.statPeer(victim.id);
  const { task: _before, updatedAt: _then, ...before } = victimBefore;
  expect(peer).toEqual(before);
}

describe('any bytes', () => {
  it.each(methods(false))(`%s answers with a status that is meant (seed ${SEED})`, async (_name, method) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const code = await callRaw(cluster.client, method, Buffer.from(bytes));
        expect([...ALLOWED]).toContain(code);
      }),
      { seed: SEED, numRuns: RUNS.unary },
    );
    await expectVictimUnharmed();
  });

  it.each(methods(true))(`%s ends with a status that is meant (seed ${SEED})`, async (_name, method) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom<Parting>('half-close', 'cancel'),
        async (messages, parting) => {
          const code = await streamRaw(
            cluster.client,
            method,
            messages.map((bytes) => Buffer.from(bytes)),
            parting,
          );
          expect([...ALLOWED]).toContain(code);
        },
      ),
      { seed: SEED, numRuns: RUNS.unary },
    );
    await expectVictimUnharmed();
  });
});

/** Requests about the ids of others, of every unary method that takes ids. */
describe('ids of others', () => {
  const withIds = methods(false).filter(
    ([name]) => /^(Stat|Upload)|^Delete(.*)Peer$/.test(name) && !/Image|File/.test(name),
  );

  it.each(withIds)(`%s harms nobody (seed ${SEED})`, async (_name, method) => {
    await fc.assert(
      fc.asyncProperty(attackerIds('attacker-peer'), mess, async (ids, spoil) => {
        // A deletion that names peer, task and host of the victim rightly is one.
        fc.pre(!(ids.peerId === victim.id && ids.taskId === victim.ids.taskId && ids.hostId === victim.ids.hostId));
        const bytes = spoil(Buffer.from(schedulerV2.StatPeerRequest.encode(ids).finish()));
        expect([...ALLOWED]).toContain(await callRaw(cluster.client, method, bytes));
      }),
      { seed: SEED, numRuns: RUNS.unary },
    );
    await expectVictimUnharmed();
    expect(await new KindClient('persistentCache', cluster.client).statTask('victim-kept')).toMatchObject({
      state: 'Succeeded',
      currentReplicaCount: 1n,
    });
  });
});

type StandardRequest = DeepPartial<NonNullable<schedulerV2.AnnouncePeerRequest['request']>>;

/** Every sub-message of AnnouncePeer, right and wrong ones. */
function standardRequests(): fc.Arbitrary<StandardRequest | undefined> {
  const piece = fc
    .record({ number: fc.constantFrom(0, 1, 4_000_000_000), parentId: fc.constantFrom('', 'unknown', victim.id, HUGE) })
    .map(({ number, parentId }) => aPiece(number, { parentId }));
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .record({
          url: fc.constantFrom('http://o/x', 'file.bin', '', `http://o/${HUGE}`),
          priority: fc.constantFrom<commonV2.Priority>(0, 3, 9 as commonV2.Priority),
          digest: fc.constantFrom(undefined, `sha256:${'a'.repeat(64)}`, 'sha256:xyz'),
          metadataOnly: fc.boolean(),
          needBackToSource: fc.boolean(),
          actualContentLength: fc.constantFrom(0n, 1n, BigInt(12 * MIB), 2n ** 63n, 2n ** 64n - 1n),
          actualPieceCount: fc.constantFrom(0n, 3n, 2n ** 60n),
        })
        .map((download): StandardRequest => ({
          $case: 'registerPeerRequest',
          value: { download: { ...aDownload(), ...download } },
        })),
    },
    fc.constantFrom<StandardRequest>(
      { $case: 'registerPeerRequest', value: {} },
      { $case: 'downloadPeerStartedRequest', value: {} },
      { $case: 'downloadPeerBackToSourceStartedRequest', value: { description: HUGE } },
      { $case: 'downloadPeerFinishedRequest', value: {} },
      { $case: 'downloadPeerBackToSourceFinishedRequest', value: {} },
      { $case: 'downloadPeerFailedRequest', value: { description: 'x' } },
      { $case: 'downloadPeerBackToSourceFailedRequest', value: {} },
      {
        $case: 'downloadPieceBackToSourceFailedRequest',
        value: { response: { $case: 'unknown', value: { message: HUGE } } },
      },
    ),
    fc.array(fc.constantFrom(victim.id, 'unknown', '', HUGE), { maxLength: 5 }).map((ids): StandardRequest => ({
      $case: 'reschedulePeerRequest',
      value: { candidateParents: ids.map((parent) => ({ ...victimBefore, id: parent })) },
    })),
    piece.map((value): StandardRequest => ({ $case: 'downloadPieceFinishedRequest', value: { piece: value } })),
    piece.map((value): StandardRequest => ({
      $case: 'downloadPieceBackToSourceFinishedRequest',
      value: { piece: value },
    })),
    fc.constantFrom(victim.id, 'unknown', HUGE).map((parentId): StandardRequest => ({
      $case: 'downloadPieceFailedRequest',
      value: { pieceNumber: 0, parentId, temporary: true },
    })),
    fc.constant(undefined),
  );
}

/** A message of one of the four kinds of announce streams, in the shape of the standard one where that has a likeness. */
function encoded(method: string, ids: object, request: StandardRequest | undefined): Buffer {
  const kind = /^Announce(.*)Peer$/.exec(method)?.[1] ?? '';
  if (request === undefined) return serialize(schedulerV2.AnnouncePeerRequest, ids as schedulerV2.AnnouncePeerRequest);
  if (kind === '') return serialize(schedulerV2.AnnouncePeerRequest, { ...ids, request } as never);
  const $case = request.$case?.startsWith('downloadPiece')
    ? request.$case
    : request.$case?.replace('Peer', `${kind}Peer`);
  const value = request.$case === 'registerPeerRequest' ? registration(kind, request) : request.value;
  const type =
    kind === 'Cache'
      ? schedulerV2.AnnounceCachePeerRequest
      : kind === 'Persistent'
        ? schedulerV2.AnnouncePersistentPeerRequest
        : schedulerV2.AnnouncePersistentCachePeerRequest;
  return serialize(type as never, { ...ids, request: { $case, value } } as never);
}

function registration(kind: string, request: StandardRequest): object {
  const { download } = (request as { value: { download?: Partial<commonV2.Download> } }).value;
  if (kind === 'Cache') return { ...download };
  if (kind === 'Persistent') {
    return {
      url: download?.url ?? '',
      objectStorage: { region: 'eu' },
      needBackToSource: download?.needBackToSource ?? false,
      persistent: download?.metadataOnly ?? false,
    };
  }
  return { pieceLength: BigInt(4 * MIB), persistent: download?.metadataOnly ?? false, outputPath: download?.url };
}

describe('any sequence of messages', () => {
  const counts = (): object => {
    const { resources, downloads, scheduler } = cluster.app.core.state;
    return {
      peers: resources.peers.size,
      tasks: resources.tasks.size,
      cacheTasks: resources.cacheTasks.size,
      downloads: downloads.size,
      waiting: scheduler.waitingCount,
      streams: cluster.app.core.durable.persistent.openStreams + cluster.app.core.durable.persistentCache.openStreams,
    };
  };

  it.each(methods(true))(
    `on %s ends with a status that is meant, harms nobody and leaves nothing behind (seed ${SEED})`,
    async (name, method) => {
      const before = counts();
      let serial = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.infiniteStream(attackerIds('own')),
          fc.array(fc.tuple(standardRequests(), mess), { minLength: 1, maxLength: 12 }),
          fc.constantFrom<Parting>('half-close', 'cancel'),
          async (idStream, requests, parting) => {
            const own = `${name}-${serial++}`;
            const messages = requests.map(([request, spoil]) => {
              const ids = idStream.next().value;
              const bytes = encoded(name, { ...ids, peerId: ids.peerId === 'own' ? own : ids.peerId }, request);
              return spoil(bytes);
            });
            expect([...ALLOWED]).toContain(await streamRaw(cluster.client, method, messages, parting));
          },
        ),
        { seed: SEED, numRuns: RUNS.stream },
      );
      await expectVictimUnharmed();
      const { state, garbage } = cluster.app.core;
      const isOurs = (peerId: string): boolean => peerId === victim.id;
      await waitFor(() => state.downloads.size === 1 && state.scheduler.waitingCount === 0, {
        what: 'all streams to end',
      });
      for (const peer of [...state.resources.peers.values()]) {
        if (!isOurs(peer.id)) {
          cluster.app.core.stat.deletePeer(
            { hostId: peer.host.id, taskId: peer.task.id, peerId: peer.id },
            peer.task.kind,
          );
        }
      }
      garbage.collectTasks();
      await waitFor(() => JSON.stringify(counts()) === JSON.stringify(before), {
        what: `the maps to shrink to ${JSON.stringify(before)}`,
      });
      for (const host of state.resources.hosts.values()) expect(host.concurrentUploadCount).toBe(0);
    },
    60_000,
  );
});
