import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Database, type DatabaseOptions, insertRow, PeerEntity } from '@dragonfly/persistence';
import { managerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { ChildService, freePort, MariaDbServer } from '@dragonfly/testkit';
import { Comparison } from '../measure/comparison.ts';
import { cpuSeconds, peakRssMib, rssMib } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { nextMessage, sleep } from '../parts/child-messages.ts';
import type { GrpcOrder } from '../parts/grpc-load.ts';
import type { HttpOrder, LoadResult } from '../parts/http-load.ts';
import { inRoot } from '../parts/paths.ts';
import type { BenchmarkContext } from './context.ts';

const IP = '127.0.0.1';
const CONNECTIONS = [1, 64] as const;
const WARM_UP_MS = 1_000;
const WINDOW_MS = 2_000;
const READY_TIMEOUT_MS = 60_000;
const CALL_DEADLINE_MS = 10_000;
/** Of a fresh manager. */
const PASSWORD = 'dragonfly';
/** Rows of the table `peer`: few, and as many as a large fleet has. */
const PEER_ROWS = [100, 100_000] as const;
const PEERS_PER_PAGE = 50;
const ROWS_PER_INSERT = 1_000;

/** Answers of the manager, warm: lists over REST and gRPC, against bare servers that send the same bytes. */
export async function rest(context: BenchmarkContext): Promise<BenchmarkResult> {
  const comparison = new Comparison('requests/s');
  const mariaDb = await MariaDbServer.startIfPresent();
  const notes = ['The load runs on the same machine; the server that is measured is the busier of the two.'];
  if (mariaDb === undefined) notes.push(`MariaDB was not measured: ${MariaDbServer.missingReason}`);
  try {
    for (let round = 1; round <= context.rounds; round += 1) {
      context.progress(`rest, round ${round} of ${context.rounds}`);
      await measureRound(context, comparison, round, 'SQLite', {
        type: 'sqlite',
        path: join(context.directory, `rest-${round}.db`),
      });
      if (mariaDb === undefined) continue;
      const database = `bench_${randomUUID().replaceAll('-', '')}`;
      await mariaDb.createDatabase(database);
      const options = { type: 'mariadb', host: IP, port: mariaDb.port, user: 'root', password: '', database } as const;
      await measureRound(context, comparison, round, 'MariaDB', options);
    }
  } finally {
    await mariaDb?.stop();
  }
  return {
    benchmark: 'rest',
    description: 'GET /api/v1/scheduler-clusters, ListSchedulers, and pages of peers, warm, closed loop.',
    rows: comparison.rows(),
    notes,
  };
}

async function measureRound(
  context: BenchmarkContext,
  comparison: Comparison,
  round: number,
  engine: string,
  database: DatabaseOptions,
): Promise<void> {
  const manager = await Manager.start(join(context.directory, `manager-${engine}-${round}`), database);
  const children = ['http-load', 'bare-server', 'grpc-load', 'bare-grpc-server'].map((part) =>
    fork(fileURLToPath(new URL(`../parts/${part}.ts`, import.meta.url))),
  );
  const [load, bare, grpcLoad, bareGrpc] = children as [ChildProcess, ChildProcess, ChildProcess, ChildProcess];
  try {
    const ports = (await Promise.all(children.map(nextMessage))) as [string, number, string, number];
    const headers = { authorization: `Bearer ${await manager.signIn()}` };
    await manager.addScheduler(headers);
    const path = '/api/v1/scheduler-clusters';
    bare.send(await manager.text(path, headers));
    bareGrpc.send(await manager.listedSchedulers());
    await Promise.all([nextMessage(bare), nextMessage(bareGrpc)]);
    for (const connections of CONNECTIONS) {
      const name = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
      const reference = `bare HTTP server, beside ${engine}, ${name}`;
      const order = { connections, warmUpMs: WARM_UP_MS, windowMs: WINDOW_MS };
      comparison.add(round, reference, await measure(load, bare, { ...order, headers, port: ports[1], path }));
      const listed = await measure(load, manager.process, { ...order, headers, port: manager.restPort, path });
      comparison.add(round, `scheduler-clusters, ${engine}, ${name}`, listed, reference);
      const grpcReference = `bare gRPC server, beside ${engine}, ${name}`;
      comparison.add(round, grpcReference, await measure(grpcLoad, bareGrpc, { ...order, port: ports[3] }), reference);
      const called = await measure(grpcLoad, manager.process, { ...order, port: manager.grpcPort });
      comparison.add(round, `ListSchedulers, ${engine}, ${name}`, called, grpcReference);
      comparison.add(round, `ListSchedulers, ${engine}, ${name}, to HTTP`, called, reference);
    }
    await measurePages(comparison, round, engine, database, manager, headers, load);
    comparison.add(round, `memory after all that, ${engine}`, { 'peak RSS MiB': peakRssMib(manager.process.pid) });
  } finally {
    for (const child of children) child.kill();
    await manager.stop();
  }
}

/** The first and the last page of a small and of a large table; the ratio is to the small one. */
async function measurePages(
  comparison: Comparison,
  round: number,
  engine: string,
  options: DatabaseOptions,
  manager: Manager,
  headers: Readonly<Record<string, string>>,
  load: ChildProcess,
): Promise<void> {
  const database = await Database.open(options);
  let present = 0;
  const reference = `page of ${PEER_ROWS[0]} peers, ${engine}`;
  try {
    for (const rows of PEER_ROWS) {
      await addPeers(database, present, rows);
      present = rows;
      const pages = [1, ...(rows === PEER_ROWS[0] ? [] : [Math.floor(rows / PEERS_PER_PAGE)])];
      for (const page of pages) {
        const path = `/api/v1/peers?page=${page}&per_page=${PEERS_PER_PAGE}`;
        const figures = await measure(load, manager.process, {
          port: manager.restPort,
          path,
          headers,
          connections: 1,
          warmUpMs: WARM_UP_MS / 2,
          windowMs: WINDOW_MS / 2,
        });
        const subject = rows === PEER_ROWS[0] ? reference : `page ${page} of ${rows} peers, ${engine}`;
        comparison.add(round, subject, figures, rows === PEER_ROWS[0] ? undefined : reference);
      }
    }
  } finally {
    await database.close();
  }
}

async function addPeers(database: Database, from: number, to: number): Promise<void> {
  const now = new Date();
  for (let first = from; first < to; first += ROWS_PER_INSERT) {
    await database.transaction(async (manager) => {
      for (let index = first; index < Math.min(to, first + ROWS_PER_INSERT); index += 1) {
        await insertRow(manager, PeerEntity, now, {
          hostName: `host-${index}`,
          type: 'normal',
          ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
          port: 4000,
          downloadPort: 4005,
          proxyPort: 4001,
          state: 'active',
          schedulerClusterId: 1,
        });
      }
    });
  }
}

async function measure(
  load: ChildProcess,
  server: { pid?: number | undefined },
  order: HttpOrder | GrpcOrder,
): Promise<Readonly<Record<string, number>>> {
  const pid = server.pid ?? 0;
  const answer = nextMessage(load);
  load.send(order);
  await sleep(order.warmUpMs);
  const before = cpuSeconds(pid);
  const { requests, p50Ms, p99Ms } = (await answer) as LoadResult;
  return figuresOf(pid, requests, order.windowMs, p50Ms, p99Ms, cpuSeconds(pid) - before);
}

function figuresOf(
  pid: number,
  requests: number,
  windowMs: number,
  p50Ms: number,
  p99Ms: number,
  usedSeconds: number,
): Readonly<Record<string, number>> {
  return {
    'requests/s': requests / (windowMs / 1000),
    'CPU µs each': (usedSeconds / requests) * 1e6,
    'p50 ms': p50Ms,
    'p99 ms': p99Ms,
    'RSS MiB': rssMib(pid),
  };
}

/** A manager of its own, as a process. */
class Manager {
  readonly process: ChildService;
  readonly restPort: number;
  readonly grpcPort: number;

  private constructor(service: ChildService, restPort: number, grpcPort: number) {
    this.process = service;
    this.restPort = restPort;
    this.grpcPort = grpcPort;
  }

  static async start(directory: string, database: DatabaseOptions): Promise<Manager> {
    const [restPort, grpcPort] = [await freePort(), await freePort()];
    mkdirSync(directory, { recursive: true });
    const file = join(directory, 'manager.yaml');
    const settings = {
      server: {
        workHome: directory,
        grpc: { listenIP: IP, port: { start: grpcPort }, requestRateLimit: 1_000_000 },
        rest: { addr: `${IP}:${restPort}` },
      },
      database:
        database.type === 'sqlite'
          ? { type: 'sqlite', sqlite: { path: database.path } }
          : {
              type: database.type,
              mysql: {
                host: database.host,
                port: database.port,
                user: 'root',
                password: '',
                dbname: database.database,
              },
            },
      metrics: { enable: false },
    };
    writeFileSync(file, JSON.stringify(settings));
    const service = await ChildService.start({
      name: 'manager',
      command: process.execPath,
      args: [
        '--max-semi-space-size=4',
        inRoot('apps/manager/dist/main.js'),
        '--config',
        file,
        // As by default: the access log is written.
        '--log-dir',
        directory,
      ],
      readyUrl: `http://${IP}:${restPort}/readyz`,
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
    return new Manager(service, restPort, grpcPort);
  }

  async signIn(): Promise<string> {
    const answer = await fetch(`http://${IP}:${this.restPort}/api/v1/users/signin`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'root', password: PASSWORD }),
    });
    if (!answer.ok) throw new Error(`sign-in answered ${answer.status}`);
    return ((await answer.json()) as { token: string }).token;
  }

  async text(path: string, headers: Readonly<Record<string, string>>): Promise<string> {
    const answer = await fetch(`http://${IP}:${this.restPort}${path}`, { headers });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
    return answer.text();
  }

  /** The lists are of something. */
  async addScheduler(headers: Readonly<Record<string, string>>): Promise<void> {
    const answer = await fetch(`http://${IP}:${this.restPort}/api/v1/schedulers`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ host_name: 'scheduler-1', ip: IP, port: 8002, scheduler_cluster_id: 1 }),
    });
    if (!answer.ok) throw new Error(`adding a scheduler answered ${answer.status}`);
  }

  /** What ListSchedulers answers, encoded, as base64. */
  async listedSchedulers(): Promise<string> {
    const client = createGrpcClient(managerV2.ManagerClient, `${IP}:${this.grpcPort}`);
    try {
      const answer = await unary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
        client.listSchedulers.bind(client),
        { sourceType: managerV2.SourceType.PEER_SOURCE, hostname: 'bench', ip: IP, schedulerClusterId: 1n },
        { deadlineMs: CALL_DEADLINE_MS },
      );
      return Buffer.from(managerV2.ListSchedulersResponse.encode(answer).finish()).toString('base64');
    } finally {
      client.close();
    }
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}
