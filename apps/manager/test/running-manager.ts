import { mkdirSync, writeFileSync } from 'node:fs';
import { managerV2 } from '@dragonfly/proto';
import { createGrpcClient } from '@dragonfly/rpc';
import { type Logger, silentLogger } from '@dragonfly/telemetry';
import { loadManagerSettings } from '../src/config/settings.js';
import { startManager, type ManagerApp } from '../src/manager-app.js';
import { freshDirectory } from './engines.js';

/** What came back from the REST API. */
export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed when it is JSON, else the text. */
  body: unknown;
}

/** A manager in this process with clients for both of its sides. */
export class RunningManager {
  private session: string | undefined;

  private constructor(
    readonly app: ManagerApp,
    readonly grpc: managerV2.ManagerClient,
  ) {}

  static async start(
    database: object,
    workHome = freshDirectory(),
    more: object = {},
    restPort = 0,
    log: Logger = silentLogger(),
  ): Promise<RunningManager> {
    mkdirSync(workHome, { recursive: true });
    const file = `${workHome}/manager.yaml`;
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({
        server: {
          workHome,
          grpc: { listenIP: '127.0.0.1', port: { start: 0 } },
          rest: { addr: `127.0.0.1:${restPort}` },
        },
        metrics: { enable: true, addr: '127.0.0.1:0' },
        database,
        ...more,
      }),
    );
    const app = await startManager({ settings: loadManagerSettings({ file, env: {} }), log });
    return new RunningManager(app, createGrpcClient(managerV2.ManagerClient, `127.0.0.1:${app.grpcPort}`));
  }

  async stop(): Promise<void> {
    this.grpc.close();
    await this.app.stop();
  }

  get url(): string {
    return `http://127.0.0.1:${this.app.restPort}`;
  }

  /** Requests go on with this session. */
  async signIn(name = 'root', password = 'dragonfly'): Promise<Answer> {
    const answer = await this.request('POST', '/api/v1/users/signin', { name, password });
    this.session = (answer.body as { token?: string }).token;
    return answer;
  }

  /** The same manager for somebody without a session; this one keeps its own. */
  anonymously(): Pick<RunningManager, 'request' | 'signIn'> {
    return new RunningManager(this.app, this.grpc);
  }

  signOut(): void {
    this.session = undefined;
  }

  async request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        // The console sends it with every request, with a body or without.
        'content-type': 'application/json',
        ...(this.session ? { authorization: `Bearer ${this.session}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? (JSON.parse(text) as unknown) : text,
    };
  }
}
