import { managerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { HostIdentity } from '../host/identity.js';
import { GIT_VERSION } from '../host/host-message.js';
import type { RoleProfile } from '../role-profile.js';
import { EMPTY_BLOCK_LIST, parseBlockList } from './block-list.js';
import type { ClusterView, DynconfigSource } from './cluster-view.js';

const CALL_DEADLINE_MS = 10_000;

export interface ManagerSourceOptions {
  readonly client: managerV2.ManagerClient;
  readonly address: string;
  readonly identity: HostIdentity;
  readonly profile: RoleProfile;
  readonly idc?: string | null | undefined;
  readonly location?: string | null | undefined;
  readonly schedulerClusterId?: number | null | undefined;
  readonly onProblem: (problem: string) => void;
}

/** Asks the manager which schedulers this host belongs to. */
export class ManagerSource implements DynconfigSource {
  readonly name: string;

  constructor(private readonly options: ManagerSourceOptions) {
    this.name = `manager ${options.address}`;
  }

  async load(signal: AbortSignal): Promise<ClusterView> {
    const { client, identity, profile } = this.options;
    const response = await unary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
      client.listSchedulers.bind(client),
      {
        sourceType: profile.managerSourceType,
        hostname: identity.hostname,
        ip: identity.ip,
        idc: this.options.idc ?? undefined,
        location: this.options.location ?? undefined,
        version: GIT_VERSION,
        commit: '',
        schedulerClusterId: BigInt(this.options.schedulerClusterId ?? 0),
      },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
    const cluster = response.schedulers.find((scheduler) => scheduler.schedulerCluster !== undefined)?.schedulerCluster;
    const clientConfig =
      profile.clientConfigKey === 'client_config' ? cluster?.clientConfig : cluster?.seedClientConfig;
    return {
      schedulers: response.schedulers.map((scheduler) => ({
        hostname: scheduler.hostname,
        host: scheduler.ip,
        port: scheduler.port,
        clusterId: Number(scheduler.schedulerClusterId),
      })),
      blockList:
        clientConfig === undefined
          ? EMPTY_BLOCK_LIST
          : parseBlockList(Buffer.from(clientConfig).toString('utf8'), this.options.onProblem),
    };
  }
}
