import { readFileSync } from 'node:fs';
import { DfError } from '@dragonfly/errors';
import { tempDir, waitFor } from '@dragonfly/testkit';
import { type CommonFlags, packageVersion, type ProcessView, runService, type ServiceProgram } from './index.js';

/** A process that only remembers what was done to it. */
class FakeProcess implements ProcessView {
  readonly argv: readonly string[];
  readonly out: string[] = [];
  readonly errors: string[] = [];
  readonly exits: number[] = [];
  exitCode?: number;
  readonly stdout = { write: (text: string) => this.out.push(text) };
  readonly stderr = { write: (text: string) => this.errors.push(text) };
  private readonly listeners: ((signal: 'SIGTERM') => void)[] = [];

  constructor(...args: string[]) {
    this.argv = ['node', 'main.js', ...args];
  }

  exit(code: number): void {
    this.exits.push(code);
  }

  on(signal: string, listener: (signal: 'SIGTERM') => void): void {
    if (signal === 'SIGTERM') this.listeners.push(listener);
  }

  terminate(): void {
    for (const listener of this.listeners) listener('SIGTERM');
  }

  async exited(): Promise<number> {
    return waitFor(() => (this.exits.length > 0 ? { code: this.exits[0] ?? -1 } : undefined), {
      what: 'the end of the process',
      intervalMs: 1,
    }).then(({ code }) => code);
  }
}

interface Seen {
  flags?: CommonFlags;
  isStrict?: boolean;
  stops: number;
}

function program(seen: Seen, changes: Partial<ServiceProgram<string>> = {}): ServiceProgram<string> {
  return {
    name: 'thing',
    summary: 'Does things.',
    configHelp: ['default /etc/thing.yaml'],
    flags: { speed: { type: 'string', value: 'N', help: ['how fast'] }, old: { type: 'boolean' } },
    optionalWord: 'daemon',
    version: '1.2.3',
    logFile: 'thing.log',
    load: (flags, isStrict) => {
      seen.flags = flags;
      seen.isStrict = isStrict;
      return {
        settings: 'settings',
        file: flags.config,
        warnings: ['odd key'],
        logLevel: flags.logLevel,
        logDir: flags.logDir,
        isConsole: flags.isConsole,
      };
    },
    start: () =>
      Promise.resolve({
        stop: () => {
          seen.stops += 1;
          return Promise.resolve();
        },
      }),
    ...changes,
  };
}

describe('the command line', () => {
  it('prints help that names every flag with a text, and the version', async () => {
    const seen: Seen = { stops: 0 };
    const help = new FakeProcess('--help');
    await runService(program(seen), help);
    const text = help.out.join('');
    for (const part of ['--config', '--log-level', '--speed N', 'how fast', 'default /etc/thing.yaml', '[daemon]']) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain('--old');
    const version = new FakeProcess('-V');
    await runService(program(seen), version);
    expect(version.out).toEqual(['thing 1.2.3\n']);
  });

  it.each([
    [['--nonsense'], 'nonsense'],
    [['walk'], 'unknown command "walk"'],
    [['--log-level', 'loud'], '--log-level: must be one of'],
    [['--config'], 'config'],
  ])('refuses %j with exit code 2', async (args, reason) => {
    const seen: Seen = { stops: 0 };
    const view = new FakeProcess(...args);
    await runService(program(seen), view);
    expect(view.exitCode).toBe(2);
    expect(view.errors.join('')).toContain(reason);
    expect(seen.flags).toBeUndefined();
  });

  it('checks a configuration strictly when asked to', async () => {
    const seen: Seen = { stops: 0 };
    const view = new FakeProcess('config', 'check', '--strict', '-c', 'a.yaml');
    await runService(program(seen), view);
    expect(seen).toMatchObject({ isStrict: true, flags: { config: 'a.yaml' } });
    expect(view.out).toEqual(['warning: odd key\n', 'a.yaml: ok\n']);
  });
});

describe('the life of a service', () => {
  it('hands over its flags, logs to its file and stops on a signal', async () => {
    using directory = tempDir('service');
    const seen: Seen = { stops: 0 };
    const view = new FakeProcess('daemon', '--speed', '9', '--log-dir', directory.path, '-l', 'DEBUG');
    await runService(program(seen), view);
    expect(seen.flags).toMatchObject({ logLevel: 'debug', own: { speed: '9', old: undefined } });
    expect(view.exits).toEqual([]);
    view.terminate();
    expect(await view.exited()).toBe(0);
    expect(seen.stops).toBe(1);
    const log = readFileSync(directory.file('thing.log'), 'utf8');
    for (const part of ['odd key', 'thing is starting', 'SIGTERM', 'stopped']) expect(log).toContain(part);
  });

  it('ends at once on a second signal', async () => {
    using directory = tempDir('service');
    const view = new FakeProcess('--log-dir', directory.path);
    const stopping = Promise.withResolvers<void>();
    await runService(program({ stops: 0 }, { start: () => Promise.resolve({ stop: () => stopping.promise }) }), view);
    view.terminate();
    view.terminate();
    expect(view.exits).toEqual([1]);
    stopping.resolve();
  });

  it('stops after the start when the signal came during it', async () => {
    using directory = tempDir('service');
    const seen: Seen = { stops: 0 };
    const view = new FakeProcess('--log-dir', directory.path);
    const base = program(seen);
    const start: typeof base.start = (settings, context) => {
      view.terminate();
      expect(seen.stops).toBe(0);
      return base.start(settings, context);
    };
    await runService({ ...base, start }, view);
    expect(await view.exited()).toBe(0);
    expect(seen.stops).toBe(1);
  });

  it('ends when it says so itself, and with 1 when the stop fails', async () => {
    using directory = tempDir('service');
    const view = new FakeProcess('--log-dir', directory.path);
    const failing = program(
      { stops: 0 },
      {
        start: (_settings, context) => {
          queueMicrotask(() => {
            context.end('idle');
          });
          return Promise.resolve({ stop: () => Promise.reject(new Error('stuck')) });
        },
      },
    );
    await runService(failing, view);
    expect(await view.exited()).toBe(1);
    expect(readFileSync(directory.file('thing.log'), 'utf8')).toContain('stuck');
  });

  it('says in one line why it could not start', async () => {
    using directory = tempDir('service');
    const view = new FakeProcess('--log-dir', directory.path);
    await runService(
      program({ stops: 0 }, { start: () => Promise.reject(new DfError('unavailable', 'port 1 is in use')) }),
      view,
    );
    expect(view.exits).toEqual([1]);
    expect(view.errors).toEqual(['thing: port 1 is in use\n']);
  });

  it('ends with 1 for a wrong configuration, as the daemon that people know', async () => {
    const view = new FakeProcess();
    const load = (): never => {
      throw new DfError('invalid-argument', 'a.yaml: port: must be 0..65535');
    };
    await runService(program({ stops: 0 }, { load }), view);
    expect(view.exits).toEqual([1]);
    expect(view.errors).toEqual(['thing: a.yaml: port: must be 0..65535\n']);
  });
});

it('reads the version of its package', () => {
  expect(packageVersion(import.meta.url)).toMatch(/^\d+\.\d+\.\d+$/);
});
