import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PortBlock, runCommand, tempDir, type Ended, type TempDir } from '@dragonfly/testkit';

export const REPOSITORY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const DFGET = path.join(REPOSITORY, 'bin/dfget');

/** Settings of run.sh that are ports, in the order in which they are numbered here. */
const PORT_SETTINGS = [
  'MANAGER_REST_PORT',
  'MANAGER_GRPC_PORT',
  'MANAGER_METRICS_PORT',
  'SCHEDULER_GRPC_PORT',
  'SCHEDULER_METRICS_PORT',
  'SEED_PEER_GRPC_PORT',
  'SEED_PEER_PIECE_PORT',
  'SEED_PEER_HEALTH_PORT',
  'SEED_PEER_METRICS_PORT',
  'PEER_GRPC_PORT',
  'PEER_PIECE_PORT',
  'PEER_HEALTH_PORT',
  'PEER_METRICS_PORT',
] as const;
export type PortSetting = (typeof PORT_SETTINGS)[number];

/** Ports of the further peers 2 … 9: base + 10·n + 0 … 9. */
const EXTRA_PEER_PORTS = 100;

/** What `dfget --report` writes. */
export interface DownloadReport {
  readonly taskId: string;
  readonly contentLength: number;
  readonly costMs: number;
  readonly outcome: string;
  readonly traffic: {
    readonly source: number;
    readonly seed: number;
    readonly peers: number;
    readonly local: number;
  };
}

export interface Download extends Ended {
  readonly output: string;
  readonly report?: DownloadReport;
}

/** A cluster of real processes, started by run.sh with a directory and ports of its own. */
export class LocalCluster {
  private downloads = 0;

  private constructor(
    private readonly directory: TempDir,
    private readonly ports: PortBlock,
    readonly env: NodeJS.ProcessEnv,
  ) {}

  /**
   * Starts nothing yet.
   * @param more environment of every process
   */
  static async create(more: Readonly<Record<string, string>> = {}): Promise<LocalCluster> {
    const directory = tempDir('e2e');
    const block = await PortBlock.reserve(PORT_SETTINGS.length + EXTRA_PEER_PORTS);
    const { firstPort } = block;
    const ports = PORT_SETTINGS.map((name, index) => [name, String(firstPort + index)] as const);
    const env = {
      ...process.env,
      ...more,
      DRAGONFLY_HOME: directory.file('home'),
      ...Object.fromEntries(ports),
      EXTRA_PEER_PORT_BASE: String(firstPort + PORT_SETTINGS.length - 20),
    };
    return new LocalCluster(directory, block, env);
  }

  /** Runs `./run.sh ARGS` for this cluster. */
  async run(...args: string[]): Promise<Ended> {
    return runCommand(path.join(REPOSITORY, 'run.sh'), args, { env: this.env });
  }

  /** Brings the cluster up and fails with run.sh's whole output when it does not come up. */
  async up(...args: string[]): Promise<Ended> {
    const ended = await this.run('--local', ...args);
    if (ended.status !== 0) throw new Error(`run.sh ended with ${ended.status}\n${ended.stdout}\n${ended.stderr}`);
    return ended;
  }

  port(setting: PortSetting): number {
    return this.ports.firstPort + PORT_SETTINGS.indexOf(setting);
  }

  /** Path below the cluster's directory. */
  file(...parts: string[]): string {
    return this.directory.file('home', ...parts);
  }

  /** Path for a test's own files. */
  scratch(name: string): string {
    return this.directory.file(name);
  }

  /** Socket of `peer`, `peer-2` … */
  socket(peer: string): string {
    return path.join(readFileSync(this.file('runtime'), 'utf8').trim(), peer, 'dfdaemon.sock');
  }

  /** Process id of every service that has a pid file. */
  pids(): Record<string, number> {
    const directory = this.file('run');
    const files = existsSync(directory) ? readdirSync(directory) : [];
    return Object.fromEntries(
      files.map((file) => [path.basename(file, '.pid'), Number(readFileSync(path.join(directory, file), 'utf8'))]),
    );
  }

  /** `dfget -u=URL -O FILE` at one of the peers, with the file that it reports to. */
  async download(url: string, peer = 'peer', ...flags: string[]): Promise<Download> {
    this.downloads += 1;
    const output = this.scratch(`download-${this.downloads}`);
    const reportFile = `${output}.json`;
    const args = [`-u=${url}`, '-O', output, '--endpoint', this.socket(peer), '--report', reportFile, ...flags];
    const ended = await runCommand(DFGET, args, { env: this.env });
    if (!existsSync(reportFile)) return { ...ended, output };
    return { ...ended, output, report: JSON.parse(readFileSync(reportFile, 'utf8')) as DownloadReport };
  }

  /** Ends every process and removes every file. */
  async destroy(): Promise<void> {
    try {
      const ended = await this.run('clean');
      if (ended.status !== 0) throw new Error(`run.sh clean ended with ${ended.status}\n${ended.stderr}`);
    } finally {
      this.directory.remove();
      await this.ports.release();
    }
  }
}
