import { jest } from '@jest/globals';
import { Content, RedisServer, waitFor } from '@dragonfly/testkit';
import { Crowd, sha256Of } from './crowd.js';

jest.setTimeout(240_000);

const MIB = 1024 * 1024;
const PIECES = 12;
const FARMS = 2;
const PEERS_PER_FARM = 3;

/*
 * The schedulers of a cluster change while it downloads: the ring of every daemon moves, and with it the owner of a task. A
 * peer that begins asks another scheduler than the one whose peer reads the source; no task may be read twice for that.
 */
describe('schedulers that come, go and change their names in mid-download', () => {
  it('leave the source to one reader, whoever begins when', async () => {
    const redis = await RedisServer.startIfPresent();
    if (redis === undefined) {
      process.stderr.write(`skip: ${RedisServer.missingReason ?? 'no redis-server'}\n`);
      return;
    }
    try {
      await using crowd = await Crowd.start({
        farms: FARMS,
        peersPerFarm: PEERS_PER_FARM,
        schedulers: 2,
        spareSchedulers: 1,
        redis: redis.address,
        hasManager: true,
        daemonSettings: { DRAGONFLY_DYNCONFIG__REFRESH_INTERVAL: '1s' },
      });
      const contents = ['one', 'two', 'three'].map((name, index) => {
        const content = new Content(PIECES * 4 * MIB, 50 + index);
        return { path: `/${name}`, content, url: crowd.origin.put(`/${name}`, { content, bytesPerSecond: MIB }) };
      });
      // Every task is begun by a peer of its own; with each change of the schedulers one more peer joins each task.
      const downloads: Promise<unknown>[] = [];
      const outputs: { readonly peer: string; readonly content: Content }[] = [];
      const begin = (step: number): void => {
        contents.forEach(({ url, content }, index) => {
          const peer = `peer-${(index + step) % (FARMS * PEERS_PER_FARM)}`;
          const suffix = `${peer}-${index}`;
          downloads.push(crowd.downloadBy(peer, url, suffix));
          outputs.push({ peer: suffix, content });
        });
      };
      begin(0);
      await waitFor(() => contents.every(({ path }) => crowd.origin.bodyBytesSent(path) > MIB), {
        what: 'every task to be read',
        timeoutMs: 60_000,
      });

      const changes = [
        () => crowd.addScheduler(),
        () => crowd.stopScheduler(0),
        async () => {
          await crowd.stopScheduler(1);
          await crowd.restartScheduler(1, 'renamed');
        },
        () => crowd.restartScheduler(0),
      ];
      for (const [step, change] of changes.entries()) {
        await change();
        begin(step + 1);
      }
      await Promise.all(downloads);
      for (const { peer, content } of outputs) expect(sha256Of(crowd.outputOf(peer))).toBe(content.sha256());
      const read = contents.map(({ path, content }) => [path, crowd.origin.bodyBytesSent(path) / content.lengthBytes]);
      const isReadOnce = read.every(([, ratio]) => ratio === 1);
      // The story tells who went to the source, and why.
      if (!isReadOnce) throw new Error(`read of the origin: ${JSON.stringify(read)}\n${crowd.storyOfSources()}`);
    } finally {
      await redis.stop();
    }
  });
});
