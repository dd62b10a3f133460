import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CountingOrigin, tempDir, type TempDir } from '@dragonfly/testkit';
import { runDfget, type DfgetEnd } from './run-dfget.js';

const FAKE_DAEMON = fileURLToPath(new URL('./fake-daemon-process.mjs', import.meta.url));

interface Start {
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

describe('dfget where no daemon runs', () => {
  let directory: TempDir;

  beforeEach(() => {
    directory = tempDir('cli');
    writeFileSync(directory.file('starts'), '');
  });

  afterEach(() => {
    for (const { pid } of starts()) end(pid);
    directory.remove();
  });

  function starts(): Start[] {
    const lines = readFileSync(directory.file('starts'), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Start);
  }

  function end(pid: number): void {
    try {
      process.kill(pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  const dfget = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<DfgetEnd> =>
    runDfget(words, {
      cwd: directory.path,
      env: { DFGET_DFDAEMON: FAKE_DAEMON, FAKE_DAEMON_LOG: directory.file('starts'), ...env },
    });

  it('starts one, that goes on running for the next download (seed 002-52, 003-1)', async () => {
    const endpoint = directory.file('run', 'd.sock');
    const first = await dfget(['-u=http://h/a', '-e', endpoint]);
    expect(first).toMatchObject({ exitCode: 0, error: '' });
    expect(first.lines[2]).toMatch(/default peer ip: 10\.9\.8\.7$/);
    const second = await dfget(['-u=http://h/b', '-e', endpoint]);
    expect(second).toMatchObject({ exitCode: 0, error: '' });
    expect(readFileSync(directory.file('b'), 'utf8')).toBe('hello');
    expect(starts()).toHaveLength(1);
    expect(starts()[0]?.args).toEqual(['--on-demand']);
    expect(starts()[0]?.env).toMatchObject({
      DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: endpoint,
      DRAGONFLY_DOWNLOAD__LIGHT_SOCKET_PATH: directory.file('run', 'd.light.sock'),
    });
    expect(readdirSync(directory.file('run'))).toEqual(['d.light.sock']);
  });

  it('starts one only, however many dfgets ask at once', async () => {
    const endpoint = directory.file('d.sock');
    const names = ['a', 'b', 'c', 'd'];
    const ends = await Promise.all(names.map((name) => dfget([`-u=http://h/${name}`, '-e', endpoint])));
    expect(ends.map(({ exitCode, error }) => ({ exitCode, error }))).toEqual(
      names.map(() => ({ exitCode: 0, error: '' })),
    );
    expect(starts()).toHaveLength(1);
  });

  it('takes the lock of a dfget that died', async () => {
    // No process has the highest number a pid can have and one more.
    writeFileSync(directory.file('dfget-start.lock'), String(2 ** 22 + 1));
    expect((await dfget(['-u=http://h/a', '-e', directory.file('d.sock')])).exitCode).toBe(0);
    expect(readdirSync(directory.path).sort()).toEqual(['a', 'd.light.sock', 'starts']);
  });

  it('hands over --config, --logdir and --workhome', async () => {
    const words = ['-u=http://h/a', '--workhome', 'home', '--config', 'c.yaml', '--logdir', 'logs'];
    // The machine's own daemon would be found before.
    const endpoint = directory.file('home', 'dfdaemon.sock');
    await dfget([...words, '-e', endpoint]);
    const [start] = starts();
    expect(start?.args).toEqual([
      '--on-demand',
      '--config',
      directory.file('c.yaml'),
      '--log-dir',
      directory.file('logs'),
    ]);
    expect(start?.env).toMatchObject({
      DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: endpoint,
      DRAGONFLY_STORAGE__DIR: directory.file('home', 'store'),
    });
  });

  it('fetches from the source when it dies, and tells its last words (seed 002-53)', async () => {
    const origin = await CountingOrigin.start();
    try {
      const url = origin.put('/a', Buffer.from('content'));
      const end = await dfget([`-u=${url}`, '-e', directory.file('d.sock')], { FAKE_DAEMON_MODE: 'die' });
      expect(end.exitCode).toBe(0);
      expect(end.error).toBe(
        'dfget: warning: the daemon did not start: dfdaemon: storage.dir: permission denied; fetching from the source instead\n',
      );
      expect(readFileSync(directory.file('a'), 'utf8')).toBe('content');
      expect(readdirSync(directory.path).sort()).toEqual(['a', 'starts']);
    } finally {
      await origin.close();
    }
  });

  it('fetches from the source when it does not answer within 5 s', async () => {
    const origin = await CountingOrigin.start();
    try {
      const url = origin.put('/a', Buffer.from('content'));
      const end = await dfget([`-u=${url}`, '-e', directory.file('d.sock')], { FAKE_DAEMON_MODE: 'hang' });
      expect(end.exitCode).toBe(0);
      expect(end.error).toContain('did not answer');
      expect(Number(/cost: (\d+) ms$/.exec(end.lines.at(-1) ?? '')?.[1])).toBeLessThan(7_000);
    } finally {
      await origin.close();
    }
  }, 15_000);

  it("does not trust a directory of another user's, where he could listen", async () => {
    if (process.getuid?.() !== 0) {
      console.log('skip: only root can make a directory of another user');
      return;
    }
    const endpoint = directory.file('theirs', 'd.sock');
    mkdirSync(directory.file('theirs'));
    chownSync(directory.file('theirs'), 4711, 4711);
    const end = await dfget(['-u=http://127.0.0.1:9/a', '-e', endpoint, '--disable-back-source']);
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain(`${directory.file('theirs')} belongs to another user`);
    expect(starts()).toEqual([]);
  });

  it('starts none with --no-daemon', async () => {
    const end = await dfget([
      'http://127.0.0.1:9/a',
      '-e',
      directory.file('d.sock'),
      '--no-daemon',
      '--disable-back-source',
    ]);
    expect(end.exitCode).toBe(1);
    expect(starts()).toEqual([]);
  });

  it('`dfget daemon` becomes the daemon, with its flags (seed 003-1)', async () => {
    const end = await dfget(['daemon', '--config', 'c.yaml'], { FAKE_DAEMON_MODE: 'die' });
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('dfdaemon: storage.dir');
    expect(starts()[0]?.args).toEqual(['--config', 'c.yaml']);
  });

  it('`dfget daemon` says where it looked when there is none', async () => {
    const end = await dfget(['daemon'], { DFGET_DFDAEMON: directory.file('missing.js') });
    expect(end).toMatchObject({ exitCode: 1, output: '' });
    expect(end.error).toContain(`not installed at ${directory.file('missing.js')}`);
  });
});
