import { setImmediate as settle } from 'node:timers/promises';
import { appendFile, readFile } from 'node:fs/promises';
import { createMemoryKv, type Kv } from '@dragonfly/kv';
import type { LeaseHandle, LeaseVerdict } from '@dragonfly/scheduling';
import { FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { JournalLeaseBackend } from './journal-backend.js';
import { KvLeaseBackend } from './kv-backend.js';
import { memoryBackend } from './lease-backend.js';
import { SourceLeaseTable } from './lease-table.js';
import { SharedOriginBudget } from './origin-budget.js';

const TTL_MS = 10_000;

async function claim(
  table: SourceLeaseTable,
  taskId: string,
  hostId: string,
  url = 'http://o/f',
): Promise<LeaseVerdict> {
  return new Promise((resolve) => {
    table.claim({ taskId, hostId, peerId: `${hostId}-peer`, url }, resolve);
  });
}

async function granted(table: SourceLeaseTable, taskId: string, hostId: string): Promise<LeaseHandle> {
  const verdict = await claim(table, taskId, hostId);
  if (verdict.kind !== 'granted') throw new Error(`expected a lease, got ${verdict.kind}`);
  return verdict.handle;
}

const taken = (hostId: string) => ({ kind: 'taken', holder: { hostId, peerId: `${hostId}-peer` } });

/** Lets what was begun in the background reach the store in memory. */
async function background(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await settle();
}

describe('SourceLeaseTable', () => {
  it('lets one host at a time read a source, whatever else it reads', async () => {
    const table = new SourceLeaseTable(memoryBackend, () => 1);
    const first = await granted(table, 't', 'a');
    expect(await claim(table, 't', 'b')).toEqual(taken('a'));
    await granted(table, 'another', 'b');
    first.release();
    await granted(table, 't', 'b');
  });

  it('lets conversations and holds of one host share a lease until the last has gone', async () => {
    const table = new SourceLeaseTable(memoryBackend, () => 1);
    const handles = [await granted(table, 't', 'a'), await granted(table, 't', 'a')];
    handles[0]?.release();
    handles[0]?.release();
    expect(await claim(table, 't', 'b')).toEqual(taken('a'));
    handles[1]?.release();
    await granted(table, 't', 'b');
    expect(table.count).toBe(1);
  });

  it('lets as many hosts read as it is told', async () => {
    const table = new SourceLeaseTable(memoryBackend, () => 2);
    await granted(table, 't', 'a');
    await granted(table, 't', 'b');
    expect(await claim(table, 't', 'c')).toEqual(taken('a'));
  });

  it('knows a seed by its host once it is known', async () => {
    const table = new SourceLeaseTable(memoryBackend, () => 1);
    const handle = await granted(table, 't', '');
    expect(await claim(table, 't', 'seed')).toMatchObject({ kind: 'taken' });
    handle.passTo({ hostId: 'seed', peerId: '' });
    await granted(table, 't', 'seed');
  });
});

describe('leases in a shared store', () => {
  let kv: Kv;
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
    kv = createMemoryKv({ now: () => clock.nowMs() });
  });
  afterEach(() => kv.close());

  function aScheduler(instance: string, limit = 1): { table: SourceLeaseTable; backend: KvLeaseBackend } {
    const backend = new KvLeaseBackend({
      store: kv.store,
      prefix: 'scheduler:1:',
      instance,
      limit: () => limit,
      ttlMs: TTL_MS,
      clock,
      log: silentLogger(),
    });
    return { table: new SourceLeaseTable(backend, () => limit), backend };
  }

  it('hold across schedulers, and are free at once when they are given back', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    const handle = await granted(one.table, 't', 'a');
    expect(await claim(two.table, 't', 'b')).toEqual(taken('a'));
    handle.release();
    await background();
    await granted(two.table, 't', 'b');
    expect(await claim(one.table, 't', 'a')).toEqual(taken('b'));
  });

  it('are carried on by the next scheduler that the same host asks', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    const former = await granted(one.table, 't', 'a');
    await granted(two.table, 't', 'a');
    former.release();
    await background();
    expect(await claim(one.table, 't', 'b')).toEqual(taken('a'));
  });

  it('outlive their time while their scheduler does, and no longer', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    const handle = await granted(one.table, 't', 'a');
    for (let third = 0; third < 9; third += 1) {
      clock.advance(TTL_MS / 3);
      await background();
    }
    expect(await claim(two.table, 't', 'b')).toEqual(taken('a'));
    // Its host may still read: a scheduler that stops gives nothing back, and renews nothing any more.
    one.table.keepAll();
    handle.release();
    await one.backend.close();
    clock.advance(TTL_MS - 1);
    expect(await claim(two.table, 't', 'b')).toEqual(taken('a'));
    clock.advance(2);
    await granted(two.table, 't', 'b');
  });

  it('are given from hand to hand in one scheduler without a gap', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    const handle = await granted(one.table, 't', 'a');
    handle.release();
    const [next, other] = await Promise.all([
      claim(one.table, 't', 'b'),
      background().then(() => claim(two.table, 't', 'c')),
    ]);
    expect(next.kind).toBe('granted');
    expect(other).toEqual(taken('b'));
  });

  it('hold in each scheduler by itself while the store is away', async () => {
    const one = aScheduler('1');
    await kv.close();
    await granted(one.table, 't', 'a');
    expect(await claim(one.table, 't', 'b')).toEqual(taken('a'));
  });

  it('are counted up to the number of readers', async () => {
    const [one, two] = [aScheduler('1', 2), aScheduler('2', 2)];
    await granted(one.table, 't', 'a');
    await granted(two.table, 't', 'b');
    expect(await claim(one.table, 't', 'c')).toMatchObject({ kind: 'taken' });
    expect(await claim(two.table, 't', 'c')).toMatchObject({ kind: 'taken' });
  });
});

describe('leases of a scheduler that is alone', () => {
  let dir: TempDir;
  let clock: FakeClock;
  let opened: JournalLeaseBackend[];
  beforeEach(() => {
    dir = tempDir('leases');
    clock = new FakeClock();
    opened = [];
  });
  afterEach(async () => {
    for (const backend of opened) await backend.close();
    dir.remove();
  });

  async function start(): Promise<{ table: SourceLeaseTable; backend: JournalLeaseBackend }> {
    const backend = await JournalLeaseBackend.open({
      file: dir.file('leases.jsonl'),
      limit: () => 1,
      ttlMs: TTL_MS,
      clock,
      log: silentLogger(),
    });
    opened.push(backend);
    return { table: new SourceLeaseTable(backend, () => 1), backend };
  }

  it('wait after a restart for the host that had them, for a while', async () => {
    const before = await start();
    await granted(before.table, 't', 'a');
    (await granted(before.table, 'ended', 'a')).release();
    await background();
    // Killed: not closed. Its last line was cut short.
    await appendFile(dir.file('leases.jsonl'), '{"serial":7,"task');
    const after = await start();
    await granted(after.table, 'ended', 'b');
    expect(await claim(after.table, 't', 'b')).toEqual(taken('a'));
    await granted(after.table, 't', 'a');

    const third = await start();
    expect(await claim(third.table, 't', 'b')).toEqual(taken('a'));
    clock.advance(TTL_MS);
    await background();
    await granted(third.table, 't', 'b');
  });

  it('wait for the hosts that had them also when the file was written anew in between', async () => {
    await granted((await start()).table, 't', 'a');
    const busy = await start();
    const ids = Array.from({ length: 6_000 }, (_, index) => `busy-${index}`);
    for (const handle of await Promise.all(ids.map((id) => granted(busy.table, id, 'b')))) handle.release();
    // Two lines for each of these, and one more write: beyond the number of lines that are kept for nothing.
    await busy.backend.close();
    opened.splice(opened.indexOf(busy.backend), 1);
    expect((await readFile(dir.file('leases.jsonl'), 'utf8')).split('\n').length).toBeLessThan(100);
    const after = await start();
    expect(await claim(after.table, 't', 'b')).toEqual(taken('a'));
  });

  it('are forgotten when they were given back, over any number of restarts', async () => {
    const first = await start();
    await granted(first.table, 't', 'a');
    const second = await start();
    (await granted(second.table, 't', 'a')).release();
    await background();
    const third = await start();
    await granted(third.table, 't', 'b');
  });
});

describe('SharedOriginBudget', () => {
  const URL_A = 'https://a.example/file?x=1';

  it('shares bandwidth and requests among the readers of all schedulers, and lets no more in than requests', async () => {
    const clock = new FakeClock();
    const kv = createMemoryKv({ now: () => clock.nowMs() });
    const limits = { bytesPerSecond: 9000, concurrentRequests: 3 };
    const tables = ['1', '2'].map((instance) => {
      const shared = { store: kv.store, prefix: 'scheduler:1:', instance, clock, log: silentLogger() };
      return new SourceLeaseTable(memoryBackend, () => 1, new SharedOriginBudget({ ...shared, limits: () => limits }));
    });
    const [one, two] = tables;
    if (one === undefined || two === undefined) throw new Error('two tables');
    await claim(one, 't1', 'a', URL_A);
    expect(one.allowanceOf(URL_A)).toEqual(limits);
    await claim(two, 't2', 'b', URL_A);
    expect(two.allowanceOf(URL_A)).toEqual({ bytesPerSecond: 4500, concurrentRequests: 1 });
    await claim(one, 't3', 'c', URL_A);
    expect(one.allowanceOf(URL_A)).toEqual({ bytesPerSecond: 3000, concurrentRequests: 1 });
    expect(await claim(two, 't4', 'd', URL_A)).toEqual({ kind: 'busy' });
    expect((await claim(two, 't4', 'd', 'https://b.example/file')).kind).toBe('granted');
    clock.advance(1000);
    await background();
    expect(two.allowanceOf(URL_A)).toEqual({ bytesPerSecond: 3000, concurrentRequests: 1 });
    await kv.close();
  });

  it('forgets the readers of a scheduler that says nothing any more', async () => {
    const clock = new FakeClock();
    const kv = createMemoryKv({ now: () => clock.nowMs() });
    const limits = { bytesPerSecond: 0, concurrentRequests: 1 };
    const shared = { store: kv.store, prefix: 'scheduler:1:', clock, log: silentLogger(), limits: () => limits };
    const silent = new SharedOriginBudget({ ...shared, instance: '1' });
    const living = new SharedOriginBudget({ ...shared, instance: '2' });
    expect(await silent.enter('https://a')).toBe(true);
    silent.close();
    expect(await living.enter('https://a')).toBe(false);
    clock.advance(10_001);
    expect(await living.enter('https://a')).toBe(true);
    living.close();
    await kv.close();
  });
});
