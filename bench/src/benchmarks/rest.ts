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
import { cpuSeconds, rssMib } from '../measure/process-figures.ts';
import type { BenchmarkResult } from '../measure/report.ts';
import { nextMessage, sleep } from '../parts/child-messages.ts';
import type { HttpOrder, HttpResult } from '../parts/http-load.ts';
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

/** Answers of the manager, warm: lists over REST and gRPC, against a bare HTTP server that sends the same bytes. */
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
  const load = fork(fileURLToPath(new URL('../parts/http-load.ts', import.meta.url)));
  const bare = fork(fileURLToPath(new URL('../parts/bare-server.ts', import.meta.url)));
  try {
    const [, barePort] = (await Promise.all([nextMessage(load), nextMessage(bare)])) as [string, number];
    const headers = { authorization: `Bearer ${await manager.signIn()}` };
    const path = '/api/v1/scheduler-clusters';
    bare.send(await manager.text(path, headers));
    await nextMessage(bare);
    for (const connections of CONNECTIONS) {
      const name = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
      const reference = `bare server, ${name}`;
      const order = { headers, connections, warmUpMs: WARM_UP_MS, windowMs: WINDOW_MS };
      comparison.add(round, reference, await measure(load, bare, { ...order, port: barePort, path }));
      const listed = await measure(load, manager.process, { ...order, port: manager.restPort, path });
      comparison.add(round, `scheduler-clusters, ${engine}, ${name}`, listed, reference);
      comparison.add(round, `ListSchedulers, ${engine}, ${name}`, await manager.measureGrpc(connections), reference);
    }
    await measurePages(comparison, round, engine, database, manager, headers, load);
  } finally {
    load.kill();
    bare.kill();
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
  order: HttpOrder,
): Promise<Readonly<Record<string, number>>> {
  const pid = server.pid ?? 0;
  const answer = nextMessage(load);
  load.send(order);
  await sleep(order.warmUpMs);
  const before = cpuSeconds(pid);
  const { requests, p50Ms, p99Ms } = (await answer) as HttpResult;
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
  private readonly grpcPort: number;

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
        '--console',
        '--log-level',
        'warn',
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

  /** ListSchedulers with as many calls under way, each on a connection of its own. */
  async measureGrpc(connections: number): Promise<Readonly<Record<string, number>>> {
    const clients = Array.from({ length: connections }, () =>
      createGrpcClient(managerV2.ManagerClient, `${IP}:${this.grpcPort}`),
    );
    const durations: number[] = [];
    const until = { counting: performance.now() + WARM_UP_MS, end: performance.now() + WARM_UP_MS + WINDOW_MS };
    const ask = async (client: managerV2.ManagerClient): Promise<void> => {
      while (performance.now() < until.end) {
        const startedAtMs = performance.now();
        await unary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
          client.listSchedulers.bind(client),
          {
            sourceType: managerV2.SourceType.PEER_SOURCE,
            hostname: 'bench',
            ip: IP,
            version: '',
            commit: '',
            schedulerClusterId: 1n,
            idc: undefined,
            location: undefined,
          },
          { deadlineMs: CALL_DEADLINE_MS },
        );
        if (startedAtMs >= until.counting) durations.push(performance.now() - startedAtMs);
      }
    };
    const { pid } = this.process;
    const running = Promise.all(clients.map(ask));
    await sleep(WARM_UP_MS);
    const before = cpuSeconds(pid);
    await running;
    const used = cpuSeconds(pid) - before;
    for (const client of clients) client.close();
    durations.sort((a, b) => a - b);
    const quantile = (share: number): number => durations[Math.floor((durations.length - 1) * share)] ?? 0;
    return figuresOf(pid, durations.length, WINDOW_MS, quantile(0.5), quantile(0.99), used);
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}
