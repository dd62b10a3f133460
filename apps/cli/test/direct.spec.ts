import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { runDfget, type DfgetEnd } from './run-dfget.js';

const CONTENT = randomBytes(3_000_000);
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

describe('dfget without a daemon', () => {
  let directory: TempDir;
  let origin: CountingOrigin;

  beforeEach(async () => {
    directory = tempDir('cli');
    origin = await CountingOrigin.start();
  });

  afterEach(async () => {
    await origin.close();
    directory.remove();
  });

  const dfget = (...words: string[]): Promise<DfgetEnd> =>
    runDfget([...words, '-e', directory.file('none.sock'), '--no-daemon'], { cwd: directory.path });
  const files = (): string[] => readdirSync(directory.path).sort();

  it('fetches from the source, within a second of overhead, and prints the lines (seed 001-11, 002-53)', async () => {
    const url = origin.put('/a', CONTENT);
    const begunAtMs = performance.now();
    const end = await dfget(`-u=${url}`, '--report', 'report.json');
    // One fetch over loopback takes milliseconds, so this is all overhead.
    expect(performance.now() - begunAtMs).toBeLessThan(5_000);
    expect(end.exitCode).toBe(0);
    expect(end.lines.slice(1)).toEqual([
      'dfget version: v0.1.0',
      expect.stringMatching(/^current user: .+, default peer ip: [0-9a-f.:]+$/),
      `output path: ${directory.file('a')}`,
      'init success and start to download',
      'finish total length 3000000 bytes',
      expect.stringMatching(/^download success: true cost: \d+ ms$/),
    ]);
    expect(end.error).toBe(
      `dfget: warning: no daemon answers on ${directory.file('none.sock')} (no such socket); fetching from the source instead\n`,
    );
    expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
    expect(files()).toEqual(['a', 'report.json']);
    expect(JSON.parse(readFileSync(directory.file('report.json'), 'utf8'))).toMatchObject({
      outcome: 'direct',
      traffic: { source: 3_000_000, seed: 0, peers: 0, local: 0 },
    });
    expect(origin.bodyBytesSent()).toBe(CONTENT.length);
  });

  it('needs no daemon at all with -p source', async () => {
    const url = origin.put('/a', CONTENT);
    const end = await runDfget([`-u=${url}`, '-p', 'source'], { cwd: directory.path });
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
  });

  it('fails and says what to do when the source is forbidden', async () => {
    const url = origin.put('/a', CONTENT);
    const end = await dfget(`-u=${url}`, '--disable-back-source');
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('no daemon answers on');
    expect(end.error).toContain('Start a daemon (dfget daemon)');
    expect(origin.requests).toEqual([]);
  });

  it.each([
    ['md5', 'md5'],
    ['sha1', 'sha1'],
    ['sha256', 'sha256'],
    ['sha512', 'sha512'],
  ])('checks a %s digest', async (name, algorithm) => {
    const url = origin.put('/a', CONTENT);
    const right = createHash(algorithm).update(CONTENT).digest('hex');
    expect((await dfget(`-u=${url}`, '--digest', `${name}:${right}`)).exitCode).toBe(0);
  });

  it('leaves no file, and an old output as it was, when the digest is wrong', async () => {
    const url = origin.put('/a', CONTENT);
    writeFileSync(directory.file('b'), 'old');
    const wrong = SHA256.replace(/^./, SHA256.startsWith('0') ? '1' : '0');
    const fresh = await dfget(`-u=${url}`, '--digest', `sha256:${wrong}`);
    const replaced = await dfget(`-u=${url}`, '-O', 'b', '--digest', `sha256:${wrong}`);
    for (const end of [fresh, replaced]) {
      expect(end.exitCode).toBe(1);
      expect(end.error).toContain(`got sha256:${SHA256}`);
    }
    expect(readFileSync(directory.file('b'), 'utf8')).toBe('old');
    expect(files()).toEqual(['b']);
  });

  it.each([
    ['ranges', { content: CONTENT }],
    ['no ranges', { content: CONTENT, ranges: false }],
    ['no ranges and no length', { content: CONTENT, ranges: false, unknownLength: true }],
  ])('cuts a range out of a source with %s', async (_what, file) => {
    const url = origin.put('/a', file);
    const end = await dfget(`-u=${url}`, '--range', '1000000-2000000');
    expect(end.exitCode).toBe(0);
    expect(readFileSync(directory.file('a')).equals(CONTENT.subarray(1_000_000, 2_000_001))).toBe(true);
  });

  it('fetches a source of unknown length', async () => {
    const url = origin.put('/a', { content: CONTENT, unknownLength: true });
    expect((await dfget(`-u=${url}`)).exitCode).toBe(0);
    expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
  });

  it('leaves no file when the source breaks off', async () => {
    const url = origin.put('/a', { content: CONTENT, breakAfterBytes: 1_000_000 });
    expect((await dfget(`-u=${url}`)).exitCode).toBe(1);
    expect(files()).toEqual([]);
  });

  it('sends headers', async () => {
    const url = origin.put('/a', CONTENT);
    await dfget(`-u=${url}`, '-H', 'Authorization: Bearer x');
    expect(origin.requests[0]?.headers['authorization']).toBe('Bearer x');
  });

  it('keeps to --ratelimit within a tenth (seed 001-8)', async () => {
    const url = origin.put('/a', CONTENT);
    const begunAtMs = performance.now();
    const end = await dfget(`-u=${url}`, '--ratelimit', '2M');
    const costMs = Number(/cost: (\d+) ms$/.exec(end.lines.at(-1) ?? '')?.[1]);
    const atTheRateMs = (CONTENT.length / (2 * 1024 * 1024)) * 1000;
    expect(costMs).toBeGreaterThan(atTheRateMs * 0.9);
    expect(performance.now() - begunAtMs).toBeLessThan(atTheRateMs * 3);
  });

  it('SIGINT ends it with 130 and leaves nothing behind', async () => {
    const url = origin.put('/a', { content: CONTENT, stallAfterBytes: 1_000_000 });
    const end = await runDfget([`-u=${url}`, '-p', 'source'], {
      cwd: directory.path,
      signalWhen: waitFor(() => files().length > 0 && origin.bodyBytesSent() >= 1_000_000, { what: 'the stall' }),
    });
    expect(end.exitCode).toBe(130);
    expect(files()).toEqual([]);
  });
});
