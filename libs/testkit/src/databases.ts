import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { ChildService } from './child-service.js';
import { freePort } from './free-port.js';
import { tempDir, type TempDir } from './temp-dir.js';

const run = promisify(execFile);

/** A Redis server of its own on a free port, from the `redis-server` of the system. Nothing is written to disk. */
export class RedisServer {
  private constructor(
    readonly port: number,
    private readonly service: ChildService,
    private readonly directory: TempDir,
  ) {}

  /** Why there is none, when there is none; print it where a test is skipped for it. */
  static readonly missingReason = missingOf('redis-server');

  /** Undefined when the machine has no `redis-server`. */
  static async startIfPresent(): Promise<RedisServer | undefined> {
    if (RedisServer.missingReason !== undefined) return undefined;
    const port = await freePort();
    const directory = tempDir('redis');
    const service = await ChildService.start({
      name: 'redis-server',
      command: 'redis-server',
      args: [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        directory.path,
      ],
      readyOutput: /Ready to accept connections/,
    });
    return new RedisServer(port, service, directory);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    await this.service.stop();
    this.directory.remove();
  }
}

/** A MariaDB server of its own on a free port, from the `mariadbd` of the system; user root without password. */
export class MariaDbServer {
  private constructor(
    readonly port: number,
    private readonly service: ChildService,
    private readonly directory: TempDir,
  ) {}

  static readonly missingReason = missingOf('mariadbd', 'mariadb-install-db');

  /** Undefined when the machine has no `mariadbd`. */
  static async startIfPresent(): Promise<MariaDbServer | undefined> {
    if (MariaDbServer.missingReason !== undefined) return undefined;
    const port = await freePort();
    const directory = tempDir('mariadb');
    const data = directory.file('data');
    // Of its own: a server that starts removes the temporary tables that it finds, and with them those of the others.
    const temporary = directory.file('tmp');
    mkdirSync(temporary);
    const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
    await run('mariadb-install-db', [
      '--no-defaults',
      `--datadir=${data}`,
      `--tmpdir=${temporary}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      ...asRoot,
    ]);
    const service = await ChildService.start({
      name: 'mariadbd',
      command: 'mariadbd',
      args: [
        '--no-defaults',
        `--datadir=${data}`,
        `--tmpdir=${temporary}`,
        `--socket=${directory.file('s')}`,
        `--pid-file=${directory.file('pid')}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--innodb-buffer-pool-size=32M',
        '--innodb-flush-log-at-trx-commit=0',
        '--skip-name-resolve',
        '--character-set-server=utf8mb4',
        ...asRoot,
      ],
      readyOutput: /ready for connections/,
      readyTimeoutMs: 60_000,
    });
    return new MariaDbServer(port, service, directory);
  }

  /** Makes an empty database. */
  async createDatabase(name: string): Promise<void> {
    await run('mariadb', [
      '--no-defaults',
      '--protocol=tcp',
      '--host=127.0.0.1',
      `--port=${this.port}`,
      '--user=root',
      '--execute',
      `CREATE DATABASE \`${name}\``,
    ]);
  }

  async stop(): Promise<void> {
    await this.service.stop();
    this.directory.remove();
  }
}

function missingOf(...programs: string[]): string | undefined {
  const missing = programs.filter((program) => !isOnPath(program));
  return missing.length === 0 ? undefined : `${missing.join(' and ')} not installed`;
}

function isOnPath(program: string): boolean {
  const directories = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`.split(':');
  if (directories.some((directory) => directory !== '' && existsSync(`${directory}/${program}`))) return true;
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
