import { jest } from '@jest/globals';
import { RedisServer, waitFor } from '@dragonfly/testkit';
import { aFile, Crowd, sha256Of, type CrowdOptions } from './crowd.js';

/*
 * How often the origin is read when a crowd of our daemons starts in the same instant and something dies. They are whole
 * daemons, several to a process (64 processes are too many for a small machine), under real scheduler processes; killing
 * the one that reads the source kills its process with the others in it. No seed peer takes part: it would hide the crowd.
 */

jest.setTimeout(240_000);

const IS_LONG = process.env['DRAGONFLY_TEST_LONG'] === '1';
const FARMS = IS_LONG ? 8 : 4;
const PEERS_PER_FARM = IS_LONG ? 8 : 6;
if (!IS_LONG) process.stderr.write('shortened: the crowd at the origin (24 daemons instead of 64): ./test.sh --long\n');
const PIECES = 8;

type Outcome = 'downloaded' | 'lost with its process' | `failed: ${string}`;

interface Result {
  readonly outcomes: Record<string, number>;
  /** Body bytes that the origin sent ÷ length of the file. */
  readonly ratio: number;
  /** The same of what it had sent when its reader was killed. */
  readonly killedRatio: number;
  /** From the disturbance until all had their file that were not disturbed themselves. */
  readonly promptMs: number;
  readonly areOutputsRight: boolean;
}

/** @param disturb called when the origin has sent half of the file; returns what it had sent when it killed its reader */
async function downloadByAll(crowd: Crowd, disturb: () => Promise<number>): Promise<Result> {
  const { url, content } = aFile(crowd.origin, PIECES);
  const downloads = crowd.download(url);
  await waitFor(() => crowd.origin.bodyBytesSent() > content.lengthBytes / 2, {
    what: 'half of the file to be read',
    timeoutMs: 60_000,
    intervalMs: 20,
  });
  const killed = new Set<number>();
  const killFarm = crowd.killFarm.bind(crowd);
  crowd.killFarm = (farm) => {
    killed.add(farm);
    return killFarm(farm);
  };
  const killedBytes = await disturb();
  const outcomes: Record<string, number> = {};
  const finished: string[] = [];
  let promptMs = 0;
  const isPaused = ({ farm }: { readonly farm: number }): boolean => crowd.isPaused(farm);
  const [late, prompt] = [downloads.filter(isPaused), downloads.filter((download) => !isPaused(download))];
  const startedAtMs = performance.now();
  for (const [index, { peer, farm, done }] of [...prompt, ...late].entries()) {
    if (index === prompt.length) crowd.resumeAll();
    const outcome = await done.then(
      (): Outcome => 'downloaded',
      (error: unknown): Outcome => (killed.has(farm) ? 'lost with its process' : `failed: ${String(error)}`),
    );
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome === 'downloaded') finished.push(peer);
    if (index === prompt.length - 1) promptMs = performance.now() - startedAtMs;
  }
  const hash = content.sha256();
  return {
    outcomes,
    ratio: crowd.origin.bodyBytesSent() / content.lengthBytes,
    killedRatio: killedBytes / content.lengthBytes,
    promptMs,
    areOutputsRight: finished.every((peer) => sha256Of(crowd.outputOf(peer)) === hash),
  };
}

function report(what: string, { ratio, killedRatio, promptMs, outcomes }: Result): void {
  const lost = killedRatio === 0 ? '' : `, of which the lost reader had ${killedRatio.toFixed(3)}`;
  process.stderr.write(
    `origin bytes ÷ size, ${what}: ${ratio.toFixed(3)}${lost}; ${(promptMs / 1000).toFixed(1)} s (${JSON.stringify(outcomes)})\n`,
  );
}

async function run(
  what: string,
  options: Pick<CrowdOptions, 'schedulers' | 'redis' | 'hasManager'>,
  disturb: (crowd: Crowd) => Promise<number>,
): Promise<Result> {
  await using crowd = await Crowd.start({ farms: FARMS, peersPerFarm: PEERS_PER_FARM, ...options });
  const result = await downloadByAll(crowd, () => disturb(crowd));
  report(what, result);
  return result;
}

/** Kills the process of the daemon that reads the source. */
async function killReader(crowd: Crowd): Promise<number> {
  const reader = crowd.sentToSource().at(-1);
  if (reader === undefined) throw new Error('nobody reads the source');
  await crowd.killFarm(crowd.farmOf(reader));
  return crowd.origin.bodyBytesSent();
}

const ALL = { downloaded: FARMS * PEERS_PER_FARM };
const ALL_BUT_ONE_FARM = { downloaded: (FARMS - 1) * PEERS_PER_FARM, 'lost with its process': PEERS_PER_FARM };
/** A body that is broken off may have been sent further than it was received. */
const TOLERANCE = 0.005;

describe('a crowd of daemons that starts in the same instant reads the origin', () => {
  it('once', async () => {
    const result = await run('undisturbed', { schedulers: 1 }, () => Promise.resolve(0));
    expect(result).toMatchObject({ outcomes: ALL, ratio: 1, areOutputsRight: true });
  });

  it('once, and again what a killed reader had read at most', async () => {
    const result = await run('reader killed', { schedulers: 1 }, killReader);
    expect(result).toMatchObject({ outcomes: ALL_BUT_ONE_FARM, areOutputsRight: true });
    expect(result.ratio).toBeLessThanOrEqual(1 + result.killedRatio + TOLERANCE);
  });

  it('once, and again what a reader had read that stands still, without waiting long for it', async () => {
    const result = await run('reader stopped, and continued in the end', { schedulers: 1 }, async (crowd) => {
      const reader = crowd.sentToSource().at(-1);
      if (reader === undefined) throw new Error('nobody reads the source');
      crowd.pauseFarm(crowd.farmOf(reader));
      return Promise.resolve(crowd.origin.bodyBytesSent());
    });
    expect(result).toMatchObject({ outcomes: ALL, areOutputsRight: true });
    // What was on its way to it: the origin fills the buffers of two connections, and it reads them when it goes on.
    expect(result.ratio).toBeLessThanOrEqual(1 + result.killedRatio + 2 / PIECES);
  });

  it('once, when their only scheduler is killed and comes back', async () => {
    const result = await run('scheduler killed and restarted', { schedulers: 1 }, async (crowd) => {
      await crowd.killScheduler(0);
      await crowd.restartScheduler(0);
      return 0;
    });
    expect(result).toMatchObject({ outcomes: ALL, areOutputsRight: true });
    expect(result.ratio).toBeLessThanOrEqual(1 + TOLERANCE);
  });

  it('once, when their only scheduler is stopped properly and started again', async () => {
    const result = await run('scheduler stopped and started', { schedulers: 1 }, async (crowd) => {
      await crowd.stopScheduler(0);
      await crowd.restartScheduler(0);
      return 0;
    });
    expect(result).toMatchObject({ outcomes: ALL, areOutputsRight: true });
    expect(result.ratio).toBeLessThanOrEqual(1 + TOLERANCE);
  });

  describe('with a manager and schedulers that share a Redis', () => {
    let redis: RedisServer | undefined;
    beforeAll(async () => {
      redis = await RedisServer.startIfPresent();
      if (redis === undefined) process.stderr.write(`skip: ${RedisServer.missingReason ?? 'no redis-server'}\n`);
    });
    afterAll(async () => redis?.stop());

    it('once, when the one that owns the task is killed', async () => {
      if (redis === undefined) return;
      const result = await run(
        'owner of three schedulers killed',
        { schedulers: 3, redis: redis.address, hasManager: true },
        async (crowd) => {
          await crowd.killScheduler(crowd.leadingScheduler());
          return 0;
        },
      );
      expect(result).toMatchObject({ outcomes: ALL, areOutputsRight: true });
      expect(result.ratio).toBeLessThanOrEqual(1 + TOLERANCE);
    });

    it('once, and what was lost, when the reader and then its scheduler are killed', async () => {
      if (redis === undefined) return;
      const options = { schedulers: 3, redis: redis.address, hasManager: true };
      const result = await run('reader and owner of three schedulers killed', options, async (crowd) => {
        const owner = crowd.leadingScheduler();
        const killedBytes = await killReader(crowd);
        await crowd.killScheduler(owner);
        return killedBytes;
      });
      expect(result).toMatchObject({ outcomes: ALL_BUT_ONE_FARM, areOutputsRight: true });
      expect(result.ratio).toBeLessThanOrEqual(1 + result.killedRatio + TOLERANCE);
    });
  });
});
