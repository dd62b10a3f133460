import { createHash } from 'node:crypto';
import {
  DEFAULT_FILTERED_QUERY_PARAMS,
  taskIdOfBlobDigestUrl,
  taskIdOfContent,
  taskIdOfUrl,
  type TaskId,
} from '@dragonfly/ids';
import { dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, readStream } from '@dragonfly/rpc';
import { Content } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import type { Daemon } from './daemon.js';
import { expectContent } from './expectations.js';
import { describeWithRealPrograms } from './real-programs.js';

const CONTENT = new Content(4321, 41);
const SHA256 = CONTENT.sha256();
const START_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 60_000;
/** A download of a few kilobytes. */
const STREAM_IDLE_MS = 10_000;

const filteredQueryParams = DEFAULT_FILTERED_QUERY_PARAMS;

/** One way to ask for a file: what dfget is told, and the id that follows from it. Nothing else may get the same id. */
interface Variant {
  readonly name: string;
  /** Path and query below the origin. */
  readonly path: string;
  readonly flags: readonly string[];
  readonly id: (url: string) => TaskId;
}

const VARIANTS: readonly Variant[] = [
  {
    name: 'a plain URL',
    path: '/plain.bin',
    flags: [],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams }),
  },
  {
    name: 'a query, sorted and without signatures',
    path: '/query.bin?b=2&X-Amz-Signature=abc&a=1&Expires=99&c=x%20y',
    flags: [],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams }),
  },
  {
    name: 'a tag',
    path: '/tagged.bin',
    flags: ['--tag', 'blue'],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams, tag: 'blue' }),
  },
  {
    name: 'tag, application and piece length',
    path: '/all.bin',
    flags: ['--tag', 'blue', '--application', 'shop', '--piece-length', '8mib'],
    id: (url) =>
      taskIdOfUrl({
        url,
        filteredQueryParams,
        tag: 'blue',
        application: 'shop',
        pieceLengthBytes: 8 * 1024 * 1024,
      }),
  },
  {
    name: 'filters of its own',
    path: '/filtered.bin?token=secret&z=26&a=1',
    flags: ['--filtered-query-param', 'token'],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams: ['token'] }),
  },
  {
    name: 'characters beyond ASCII, and a fragment',
    path: '/%C3%A4%20b.bin?k=%E4%BD%A0&e=#part',
    flags: [],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams }),
  },
  {
    name: 'an expected digest, which is no part of the id',
    path: '/digest.bin',
    flags: ['--digest', `sha256:${SHA256}`],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams }),
  },
  {
    name: 'content for the id',
    path: '/content-id.bin',
    flags: ['--content-for-calculating-task-id', 'model 7, revision 3'],
    id: () => taskIdOfContent('model 7, revision 3'),
  },
  {
    name: 'the URL of a blob, asked for by dfget: an ordinary URL',
    path: `/v2/library/some/blobs/sha256:${SHA256}`,
    flags: [],
    id: (url) => taskIdOfUrl({ url, filteredQueryParams }),
  },
];

describeWithRealPrograms('task ids of real and our daemons', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;
  let realPeer: Daemon;
  let ourPeer: Daemon;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
    [realPeer, ourPeer] = await Promise.all([
      cluster.addDaemon({ maker: 'real', isSeed: false }),
      cluster.addDaemon({ maker: 'ours', isSeed: false }),
    ]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(running.map(async (one) => one.stop()));
  }, TEST_TIMEOUT_MS);

  async function storedIds(daemon: Daemon): Promise<string[]> {
    return (await daemon.localTasks()).map((task) => task.taskId);
  }

  /** Ids that a daemon has stored in addition after `action`. */
  async function addedIds(daemon: Daemon, action: () => Promise<unknown>): Promise<string[]> {
    const before = new Set(await storedIds(daemon));
    await action();
    return (await storedIds(daemon)).filter((id) => !before.has(id));
  }

  it.each(VARIANTS.map((variant) => ({ ...variant, toString: () => variant.name })))(
    'agree for $name',
    async ({ path, flags, id }) => {
      cluster.origin.put(path.replace(/[?#].*$/, ''), CONTENT);
      const url = cluster.origin.url(path);
      const expected = id(url);
      const byReal = await addedIds(realPeer, async () => {
        await expectContent(await cluster.realDfget(realPeer, url, ...flags), CONTENT);
      });
      const byOurs = await addedIds(ourPeer, async () => {
        await expectContent(await cluster.realDfget(ourPeer, url, ...flags), CONTENT);
      });
      expect({ byReal, byOurs }).toEqual({ byReal: [expected], byOurs: [expected] });

      // Our dfget means the same by the same flags, whichever daemon it speaks to.
      const byOurDfget = await Promise.all(
        [realPeer, ourPeer].map(async (daemon) =>
          addedIds(daemon, async () => {
            await expectContent(await cluster.ourDfget(daemon, url, ...flags), CONTENT);
          }),
        ),
      );
      expect(byOurDfget).toEqual([[], []]);
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    ['blob', `/v2/library/other/blobs/sha256:${SHA256}`],
    ['manifest', `/v2/library/other/manifests/sha256:${createHash('sha256').update('manifest').digest('hex')}`],
  ])('agree for a %s whose digest is to be the id, as registry mirrors ask', async (_kind, path) => {
    const url = cluster.origin.put(path, CONTENT);
    const expected = taskIdOfBlobDigestUrl(url);
    expect(expected).toMatch(/^[0-9a-f]{64}$/);
    for (const daemon of [realPeer, ourPeer]) {
      const added = await addedIds(daemon, async () => {
        const client = createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, `unix:${daemon.socket}`);
        try {
          const request = dfdaemonV2.DownloadTaskRequest.fromPartial({
            download: { url, filteredQueryParams: [...filteredQueryParams], enableTaskIdBasedBlobDigest: true },
          });
          const call = client.downloadTask(request);
          for await (const message of readStream(call, { idleTimeoutMs: STREAM_IDLE_MS })) {
            expect(message.taskId).toBe(expected);
          }
        } finally {
          client.close();
        }
      });
      expect(added).toEqual([expected]);
    }
  });
});
