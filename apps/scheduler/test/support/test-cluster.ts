import { type commonV2, schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import type { Clock } from '@dragonfly/scheduling';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { loadSchedulerConfig, type SchedulerConfig } from '../../src/config/scheduler-config.js';
import { SchedulerApp } from '../../src/scheduler-app.js';
import { aHost } from './announcements.js';
import { TestPeer } from './test-peer.js';

const DEADLINE_MS = 5000;

/** Keys of a configuration that a test changes, as environment variables: `SERVER__HOST=…`. */
export type ConfigChanges = Readonly<Record<string, string>>;

export function testConfig(directory: TempDir, changes: ConfigChanges = {}): SchedulerConfig {
  const env = Object.fromEntries(
    Object.entries({
      SERVER__LISTEN_I_P: '127.0.0.1',
      SERVER__ADVERTISE_I_P: '127.0.0.1',
      SERVER__PORT: '0',
      SERVER__HOST: 'scheduler-under-test',
      SERVER__DATA_DIR: directory.path,
      JOB__LEARNING_TIME: '0',
      METRICS__ENABLE: 'true',
      METRICS__ADDR: '127.0.0.1:0',
      ...changes,
    }).map(([key, value]) => [`DRAGONFLY_${key}`, value]),
  );
  return loadSchedulerConfig({ env }).config;
}

/** A scheduler on free ports, with a client. */
export class TestCluster implements AsyncDisposable {
  readonly #peers: TestPeer[] = [];
  #serial = 0;

  private constructor(
    readonly app: SchedulerApp,
    readonly client: schedulerV2.SchedulerClient,
    readonly directory: TempDir,
  ) {}

  static async start(options: { readonly changes?: ConfigChanges; readonly clock?: Clock } = {}): Promise<TestCluster> {
    const directory = tempDir('scheduler');
    const app = await SchedulerApp.start({
      config: testConfig(directory, options.changes),
      log: silentLogger(),
      version: '0.0.0-test',
      isRoot: false,
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    });
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${app.port}`);
    return new TestCluster(app, client, directory);
  }

  /** Announces a host. */
  async host(name: string, changes: Parameters<typeof aHost>[1] = {}, intervalSeconds?: number): Promise<string> {
    const host = aHost(name, changes);
    await this.call('announceHost', {
      host,
      interval: intervalSeconds === undefined ? undefined : { seconds: BigInt(intervalSeconds), nanos: 0 },
    });
    return host.id;
  }

  /** A peer of a task on a host of its own (or a named one), its stream open and nothing said. */
  async peer(taskId: string, hostId?: string, peerId?: string): Promise<TestPeer> {
    const number = this.#serial++;
    const peer = new TestPeer(this.client, {
      hostId: hostId ?? (await this.host(`host-${number}`)),
      taskId,
      peerId: peerId ?? `peer-${number}`,
    });
    this.#peers.push(peer);
    return peer;
  }

  statTask(taskId: string): Promise<commonV2.Task> {
    return unary(this.client.statTask.bind(this.client), { hostId: 'any', taskId }, { deadlineMs: DEADLINE_MS });
  }

  statPeer(peerId: string): Promise<commonV2.Peer> {
    return unary(
      this.client.statPeer.bind(this.client),
      { hostId: 'any', taskId: 'any', peerId },
      { deadlineMs: DEADLINE_MS },
    );
  }

  async call<Name extends 'announceHost' | 'deleteHost' | 'deletePeer' | 'deleteTask'>(
    name: Name,
    request: Parameters<schedulerV2.SchedulerClient[Name]>[0],
  ): Promise<void> {
    const method = this.client[name] as schedulerV2.SchedulerClient['deleteHost'];
    await unary(method.bind(this.client), request as schedulerV2.DeleteHostRequest, { deadlineMs: DEADLINE_MS });
  }

  async listHosts(type?: number): Promise<string[]> {
    const { hosts } = await unary(this.client.listHosts.bind(this.client), { type }, { deadlineMs: DEADLINE_MS });
    return hosts.map((host) => host.id).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.cancel();
    this.client.close();
    await this.app.stop();
    this.directory.remove();
  }
}
