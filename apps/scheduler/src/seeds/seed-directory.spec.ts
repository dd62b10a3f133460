import type { HostId } from '@dragonfly/ids';
import type { Host } from '@dragonfly/scheduling';
import { aHost, FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { addressOf, SeedDirectory } from './seed-directory.js';
import type { SeedProbe } from './seed-probe.js';

const NOBODY: ReadonlySet<string> = new Set();

/** Answers probes by a list of addresses that serve. */
class FakeProbe implements SeedProbe {
  readonly serving = new Set<string>();
  count = 0;

  isServing(address: string): Promise<boolean> {
    this.count += 1;
    return Promise.resolve(this.serving.has(address));
  }
}

let clock: FakeClock;
let probe: FakeProbe;
let seen: [known: number, usable: number];
let awaited: number;
let directory: SeedDirectory;

beforeEach(() => {
  clock = new FakeClock();
  probe = new FakeProbe();
  seen = [0, 0];
  directory = new SeedDirectory(probe, clock, silentLogger(), (counts) => {
    seen = [counts.known, counts.usable];
    awaited = counts.awaited;
  });
});

function aSeed(ip = '10.0.0.1'): Host {
  return aHost({ isSeed: true, ip, port: 4000 });
}

/** Lets time pass in small steps, so that the promises of probes are settled in between. */
async function pass(durationMs: number, stepMs = 500): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
    clock.advance(stepMs);
    await Promise.resolve();
    await Promise.resolve();
  }
}

it('probes after the announcement was taken, every 500 ms until the seed serves', async () => {
  const seed = aSeed();
  directory.announced(seed);
  expect(probe.count).toBe(0);
  expect(seen).toEqual([1, 0]);
  await pass(5000);
  expect(probe.count).toBe(10);
  probe.serving.add('10.0.0.1:4000');
  await pass(500);
  expect(seen).toEqual([1, 1]);
  expect(directory.ownerOf('task', NOBODY)).toMatchObject({ host: seed, address: '10.0.0.1:4000' });
});

it('awaits a seed for 30 s after its announcement or its loss, not for ever', async () => {
  directory.announced(aSeed());
  await pass(29_000);
  expect(awaited).toBe(1);
  await pass(2000);
  expect(awaited).toBe(0);
  probe.serving.add('10.0.0.1:4000');
  await pass(30_000);
  expect([seen, awaited]).toEqual([[1, 1], 0]);
  probe.serving.clear();
  await pass(30_500);
  expect([seen, awaited]).toEqual([[1, 0], 1]);
  await pass(31_000);
  expect([seen, awaited]).toEqual([[1, 0], 0]);
});

it('slows down to 30 s after 30 s without success', async () => {
  directory.announced(aSeed());
  await pass(31_000);
  const fast = probe.count;
  expect(fast).toBeGreaterThanOrEqual(60);
  await pass(60_000);
  expect(probe.count - fast).toBe(2);
});

it('asks a serving seed every 30 s and puts it out when it stops to serve', async () => {
  probe.serving.add('10.0.0.1:4000');
  directory.announced(aSeed());
  await pass(1000);
  expect(seen).toEqual([1, 1]);
  probe.serving.clear();
  await pass(29_000);
  expect(seen).toEqual([1, 1]);
  await pass(1500);
  expect(seen).toEqual([1, 0]);
  probe.serving.add('10.0.0.1:4000');
  await pass(1000);
  expect(seen).toEqual([1, 1]);
});

it('probes a serving seed that announces itself again: it may have been restarted', async () => {
  const seed = aSeed();
  probe.serving.add('10.0.0.1:4000');
  directory.announced(seed);
  await pass(1000);
  probe.serving.clear();
  directory.announced(seed);
  await pass(500);
  expect(seen).toEqual([1, 0]);
  probe.serving.add('10.0.0.1:4000');
  await pass(1000);
  expect(seen).toEqual([1, 1]);
});

it('a seed with a new address is not used at it before it serves there', async () => {
  const seed = aSeed();
  probe.serving.add('10.0.0.1:4000');
  directory.announced(seed);
  await pass(500);
  seed.facts = { ...seed.facts, ip: '10.0.0.2' };
  directory.announced(seed);
  expect(directory.ownerOf('task', NOBODY)).toBeUndefined();
  probe.serving.add('10.0.0.2:4000');
  await pass(500);
  expect(directory.ownerOf('task', NOBODY)?.address).toBe('10.0.0.2:4000');
});

it('a seed that could not be reached is out until it answers again', async () => {
  const seed = aSeed();
  probe.serving.add('10.0.0.1:4000');
  directory.announced(seed);
  await pass(500);
  directory.unreachable(seed.id);
  expect(seen).toEqual([1, 0]);
  await pass(1000);
  expect(seen).toEqual([1, 1]);
});

it('chooses by the seed ring (vectors of the original), the next member when one is excluded', async () => {
  const seeds = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(aSeed);
  for (const seed of seeds) {
    probe.serving.add(addressOf(seed));
    directory.announced(seed);
  }
  await pass(500);
  const ownerOf = (key: string, excluded = NOBODY): string | undefined =>
    directory.ownerOf(key, excluded)?.host.facts.ip;
  expect(['task-1', 'task-2', 'task-3', 'short'].map((key) => ownerOf(key))).toEqual([
    '10.0.0.2',
    '10.0.0.1',
    '10.0.0.1',
    '10.0.0.3',
  ]);
  const [, second] = seeds;
  expect(ownerOf('task-1', new Set([second?.id ?? '']))).not.toBe('10.0.0.2');
  expect(ownerOf('task-1', new Set(seeds.map((seed) => seed.id)))).toBeUndefined();
});

it('forgets a seed that was removed, or is no seed any more', async () => {
  const [first, second] = [aSeed('10.0.0.1'), aSeed('10.0.0.2')];
  directory.announced(first);
  directory.announced(second);
  directory.removed(first.id);
  second.facts = { ...second.facts, isSeed: false };
  directory.announced(second);
  expect(seen).toEqual([0, 0]);
  await pass(2000);
  expect(probe.count).toBe(0);
  directory.removed('unknown' as HostId);
});

it('close leaves no timer behind', async () => {
  directory.announced(aSeed());
  await pass(500);
  directory.close();
  expect(clock.pendingCount).toBe(0);
});

it('writes IPv6 addresses in brackets', () => {
  expect(addressOf(aHost({ ip: 'fd00::1', port: 4000 }))).toBe('[fd00::1]:4000');
});
