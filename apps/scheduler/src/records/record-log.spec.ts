import { jest } from '@jest/globals';
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { aRecord } from '../../test/support/records.js';
import { BLOCK_BYTES } from './record-index.js';
import { RecordLog, type RecordLogOptions } from './record-log.js';
import { type RecordFilter, RecordQueries } from './record-queries.js';

const EVERYTHING: RecordFilter = { taskId: '', hostId: '', application: '', tag: '', strategy: '', taskType: '' };
const NEVER_MS = 3_600_000;

let temp: TempDir;
let directory: string;
let logs: RecordLog[];
const { signal } = new AbortController();

beforeEach(() => {
  temp = tempDir('records');
  directory = path.join(temp.path, 'records');
  logs = [];
});
afterEach(async () => {
  for (const log of logs) await log.close();
  temp.remove();
});

function openLog(options: Partial<RecordLogOptions> = {}): RecordLog {
  const log = new RecordLog({
    directory,
    maxFileBytes: 1024 ** 2,
    maxFiles: 4,
    flushIntervalMs: NEVER_MS,
    log: silentLogger(),
    ...options,
  });
  logs.push(log);
  return log;
}

/** Ends of all records that can be read, newest first. */
async function endsOf(log: RecordLog): Promise<number[]> {
  const { records } = await new RecordQueries(log).list(EVERYTHING, 1000, '', signal);
  return records.map(({ endedAtMs }) => endedAtMs);
}

it('keeps records over a restart', async () => {
  const first = openLog();
  for (let i = 1; i <= 3; i++) first.add(aRecord(i));
  await first.close();
  const second = openLog();
  second.add(aRecord(4));
  expect(await endsOf(second)).toEqual([4, 3, 2, 1]);
  const { records } = await new RecordQueries(second).list(EVERYTHING, 1, '', signal);
  expect(records).toEqual([aRecord(4)]);
});

it('writes in batches: nothing before the interval is over, or much has come', async () => {
  const log = openLog();
  await log.files();
  log.add(aRecord(1));
  expect(await readdir(directory)).toEqual([]);
  for (let i = 2; log.writtenCount === 0 && i < 5_000; i++) {
    log.add(aRecord(i));
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(log.writtenCount).toBeGreaterThan(100);
});

it('loses nothing that comes while it writes', async () => {
  const log = openLog({ maxFileBytes: 40_000, maxFiles: 100 });
  for (let i = 0; i < 300; i++) {
    log.add(aRecord(i));
    if (i % 7 === 0) void log.flush();
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await endsOf(log)).toEqual(Array.from({ length: 300 }, (_, i) => 299 - i));
  expect(log.writtenCount).toBe(300);
});

it('writes after the interval', async () => {
  const log = openLog({ flushIntervalMs: 1 });
  log.add(aRecord(1));
  while (log.writtenCount === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await readdir(directory)).toEqual(['downloads-0000000001.jsonl']);
});

it('begins another file when one is full, and deletes the oldest', async () => {
  const lengthBytes = JSON.stringify(aRecord(1_000)).length + 1;
  const log = openLog({ maxFileBytes: 3 * lengthBytes, maxFiles: 2 });
  for (let i = 1_000; i < 1_010; i++) {
    log.add(aRecord(i));
    await log.flush();
  }
  expect(await readdir(directory)).toEqual(['downloads-0000000003.jsonl', 'downloads-0000000004.jsonl']);
  expect(await endsOf(log)).toEqual([1_009, 1_008, 1_007, 1_006]);
});

it('goes on behind a line that a crash has cut, and skips it', async () => {
  const first = openLog();
  for (const end of [1, 2]) first.add(aRecord(end));
  await first.close();
  const [name = ''] = await readdir(directory);
  await appendFile(path.join(directory, name), JSON.stringify(aRecord(3)).slice(0, 100));
  const second = openLog();
  expect(await endsOf(second)).toEqual([2, 1]);
  second.add(aRecord(4));
  expect(await endsOf(second)).toEqual([4, 2, 1]);
  expect(await endsOf(openLog())).toEqual([4, 2, 1]);
});

it('skips what is no record, and files that are not its own', async () => {
  await mkdir(directory);
  await writeFile(
    path.join(directory, 'downloads-0000000007.jsonl'),
    `\n\n{"endedAtMs":5}\nhello\n${JSON.stringify(aRecord(6))}\n\0\0`,
  );
  await writeFile(path.join(directory, 'notes.txt'), 'mine');
  const log = openLog();
  log.add(aRecord(7));
  expect(await endsOf(log)).toEqual([7, 6]);
  expect(await readFile(path.join(directory, 'notes.txt'), 'utf8')).toBe('mine');
});

it('a directory that cannot be written costs records and nothing else; they are written when it can be', async () => {
  await writeFile(directory, 'a file is in the way');
  const warn = jest.fn();
  const log = openLog({ log: Object.assign(silentLogger(), { warn }) });
  log.add(aRecord(1));
  await log.flush();
  log.add(aRecord(2));
  await log.flush();
  expect(warn).toHaveBeenCalledTimes(1);
  expect([log.writtenCount, log.droppedCount]).toEqual([0, 0]);
  await rm(directory);
  log.add(aRecord(3));
  expect(await endsOf(log)).toEqual([3, 2, 1]);
});

it('drops records when too many wait, and counts them', async () => {
  await writeFile(directory, 'a file is in the way');
  const log = openLog();
  const description = 'x'.repeat(1_000);
  for (let i = 0; i < 8_000; i++) log.add(aRecord(i, { description }));
  await log.flush();
  expect(log.droppedCount).toBeGreaterThan(1_000);
  expect(log.droppedCount).toBeLessThan(7_000);
});

it('a file that is deleted by somebody else is missed, not fatal', async () => {
  const log = openLog({ maxFileBytes: 1 });
  for (const end of [1, 2, 3]) {
    log.add(aRecord(end));
    await log.flush();
  }
  await rm(path.join(directory, 'downloads-0000000002.jsonl'));
  expect(await endsOf(log)).toEqual([3, 1]);
});

it('its index has about one entry for each 64 KiB, however small the batches', async () => {
  const log = openLog({ maxFileBytes: 1024 ** 2 });
  for (let i = 0; i < 300; i++) {
    log.add(aRecord(i));
    await log.flush();
  }
  const [file] = await log.files();
  const { size } = await stat(file?.path ?? '');
  expect(file?.index.lengthBytes).toBe(size);
  expect(file?.index.blocks.length).toBeLessThanOrEqual(Math.ceil((size / BLOCK_BYTES) * 1.1));
  const [again] = await openLog().files();
  expect(again?.index.lengthBytes).toBe(size);
});

describe('queries', () => {
  it('give pages that neither lose nor repeat a record, while others come', async () => {
    const log = openLog({ maxFileBytes: 10_000, maxFiles: 100 });
    for (let i = 1; i <= 95; i++) log.add(aRecord(i));
    const queries = new RecordQueries(log);
    const seen: number[] = [];
    let token = '';
    do {
      const page = await queries.list(EVERYTHING, 10, token, signal);
      seen.push(...page.records.map(({ endedAtMs }) => endedAtMs));
      token = page.nextPageToken;
      log.add(aRecord(1_000 + seen.length));
    } while (token !== '');
    expect(seen).toEqual(Array.from({ length: 95 }, (_, i) => 95 - i));
  });

  it.each([
    [{ taskId: 'b' }, [4, 2]],
    [{ sinceMs: 2, untilMs: 4 }, [3, 2]],
    [{ result: 'failed' as const }, [3]],
    [{ application: 'other', taskId: 'b' }, [4]],
    [{ strategy: 'adaptive' }, [1]],
    [{ taskType: 'PERSISTENT' }, [1]],
    [{ tag: 'none' }, []],
  ])('filter by %j', async (filter, expected) => {
    const log = openLog();
    log.add(aRecord(1, { strategy: 'adaptive', taskType: 'PERSISTENT' }));
    log.add(aRecord(2, { taskId: 'b' }));
    log.add(aRecord(3, { result: 'failed' }));
    log.add(aRecord(4, { taskId: 'b', application: 'other' }));
    const { records } = await new RecordQueries(log).list({ ...EVERYTHING, ...filter }, 10, '', signal);
    expect(records.map(({ endedAtMs }) => endedAtMs)).toEqual(expected);
  });

  it.each(['x', '!!', Buffer.from('1:2:3').toString('base64url')])('refuse the token %j', async (token) => {
    await expect(
      (async () => new RecordQueries(openLog()).list(EVERYTHING, 10, token, signal))(),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });

  it('sum by interval and group, the largest groups first', async () => {
    const log = openLog();
    for (let minute = 0; minute < 2; minute++) {
      for (let i = 0; i < 100; i++) {
        log.add(
          aRecord(minute * 60_000 + i, {
            application: i < 60 ? 'a' : i < 90 ? 'b' : 'c',
            startedAtMs: minute * 60_000,
          }),
        );
      }
    }
    log.add(aRecord(60_500, { application: 'a', result: 'failed', peerBytes: 0, sourceBytes: 7 }));
    const queries = new RecordQueries(log);
    const summaries = await queries.summarize(EVERYTHING, 60_000, ({ application }) => application, 2, signal);
    expect(summaries.map(({ beginsAtMs, key, downloads, failures }) => [beginsAtMs, key, downloads, failures])).toEqual(
      [
        [0, 'a', 60, 0],
        [0, 'b', 30, 0],
        [60_000, 'a', 61, 1],
        [60_000, 'b', 30, 0],
      ],
    );
    expect(summaries[2]).toMatchObject({ sourceBytes: 7, peerBytes: 60_000, meanCostMs: 29.5 });
    expect(summaries[2]?.p99CostMs).toBeGreaterThanOrEqual(59);
    expect(summaries[2]?.p99CostMs).toBeLessThanOrEqual(62);
    const [whole, ...others] = await queries.summarize(EVERYTHING, 0, undefined, 10, signal);
    expect(whole).toMatchObject({ beginsAtMs: undefined, key: '', downloads: 201, failures: 1 });
    expect(others).toEqual([]);
  });
});
