import { BlockList, isIP } from 'node:net';
import { type sendUnaryData, type ServerReadableStream, status as Status } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { type Empty, managerV2 } from '@dragonfly/proto';
import { GrpcServer, handleUnary, hostPort } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { locationAffinity } from '../scheduler/candidates.js';

/** Which callers a cluster is meant for, as its JSON says. */
export interface Scopes {
  readonly idc?: string;
  readonly location?: string;
  readonly cidrs?: readonly string[];
  /** Regular expressions. */
  readonly hostnames?: readonly string[];
}

/** A scheduler cluster; in the original a row of the database. */
export interface ClusterRow {
  readonly id: number;
  readonly isDefault: boolean;
  readonly scopes: Scopes;
  readonly config: object;
  readonly clientConfig: object;
  readonly seedClientConfig: object;
}

interface InstanceRow<Message> {
  readonly hostname: string;
  readonly ip: string;
  readonly clusterId: number;
  state: 'active' | 'inactive';
  message: Message;
}

/** What the first start of the original makes. */
const DEFAULT_CLUSTER: ClusterRow = {
  id: 1,
  isDefault: true,
  scopes: {},
  config: { candidate_parent_limit: 3, filter_parent_limit: 15, job_rate_limit: 10 },
  clientConfig: { load_limit: 200 },
  seedClientConfig: {},
};
const SEED_CLUSTER_CONFIG = { load_limit: 2000 };

/**
 * Stands in for the original's manager where that cannot be had: the methods of `manager.v2` with its answers and errors, on
 * rows in memory, and nothing else; every other service is UNIMPLEMENTED.
 */
export class OriginalManager {
  readonly schedulers: InstanceRow<managerV2.UpdateSchedulerRequest>[] = [];
  readonly seedPeers: InstanceRow<managerV2.UpdateSeedPeerRequest>[] = [];
  readonly listed: managerV2.ListSchedulersRequest[] = [];
  private server: GrpcServer | undefined;

  private constructor(
    private readonly ip: string,
    readonly clusters: ClusterRow[],
  ) {}

  static async start(
    options: { readonly ip?: string; readonly port?: number; readonly clusters?: readonly ClusterRow[] } = {},
  ): Promise<OriginalManager> {
    const manager = new OriginalManager(options.ip ?? '127.0.0.1', [...(options.clusters ?? [DEFAULT_CLUSTER])]);
    manager.server = await GrpcServer.start({
      addresses: [hostPort(manager.ip, options.port ?? 0)],
      log: silentLogger(),
      services: [{ service: managerV2.ManagerService, implementation: manager.methods() }],
    });
    return manager;
  }

  get address(): string {
    return hostPort(this.ip, this.server?.ports[0] ?? 0);
  }

  async stop(): Promise<void> {
    await this.server?.stop(0);
  }

  private methods() {
    const log = silentLogger();
    return {
      listSchedulers: handleUnary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
        async (request) => {
          this.listed.push(request);
          return { schedulers: this.listSchedulers(request) };
        },
        log,
      ),
      getScheduler: handleUnary<managerV2.GetSchedulerRequest, managerV2.Scheduler>(async (request) => {
        const row = this.schedulers.find(
          ({ hostname, clusterId }) =>
            hostname === request.hostname && clusterId === Number(request.schedulerClusterId),
        );
        if (row === undefined) throw new DfError('internal', 'record not found');
        const seedPeers = this.seedPeers.filter(({ state }) => state === 'active').map(seedPeerMessage);
        const { schedulerCluster, ...rest } = this.schedulerMessage(row);
        // Of the cluster everything but what its seeds are told.
        const cluster = schedulerCluster && { ...schedulerCluster, seedClientConfig: Buffer.alloc(0) };
        return { ...rest, schedulerCluster: cluster, seedPeers };
      }, log),
      updateScheduler: handleUnary<managerV2.UpdateSchedulerRequest, managerV2.Scheduler>(async (request) => {
        const clusterId = Number(request.schedulerClusterId);
        const known = this.schedulers.find(
          (row) =>
            row.hostname === request.hostname &&
            row.ip === request.ip &&
            row.message.port === request.port &&
            row.clusterId === clusterId,
        );
        const features = request.features.length > 0 ? request.features : ['schedule', 'preheat'];
        const message = { ...request, features };
        // It becomes active with its first keep-alive.
        const row = known ?? { hostname: request.hostname, ip: request.ip, clusterId, state: 'inactive', message };
        if (known === undefined) this.schedulers.push(row);
        row.message = message;
        return this.schedulerMessage(row);
      }, log),
      listApplications: handleUnary<managerV2.ListApplicationsRequest, managerV2.ListApplicationsResponse>(async () => {
        throw new DfError('not-found', 'application not found');
      }, log),
      updateSeedPeer: handleUnary<managerV2.UpdateSeedPeerRequest, managerV2.SeedPeer>(async (request) => {
        const clusterId = Number(request.seedPeerClusterId);
        const row = this.seedPeers.find((one) => isSame(one, request.hostname, request.ip, clusterId));
        const made = row ?? {
          hostname: request.hostname,
          ip: request.ip,
          clusterId,
          state: 'active',
          message: request,
        };
        if (row === undefined) this.seedPeers.push(made);
        made.state = 'active';
        made.message = request;
        return seedPeerMessage(made);
      }, log),
      getSeedPeer: handleUnary<managerV2.GetSeedPeerRequest, managerV2.SeedPeer>(async (request) => {
        const row = this.seedPeers.find(
          ({ hostname, clusterId }) => hostname === request.hostname && clusterId === Number(request.seedPeerClusterId),
        );
        if (row === undefined) throw new DfError('internal', 'record not found');
        const schedulers = this.schedulers.filter(({ state }) => state === 'active');
        return { ...seedPeerMessage(row), schedulers: schedulers.map((one) => this.schedulerMessage(one)) };
      }, log),
      listSeedPeers: handleUnary<managerV2.ListSeedPeersRequest, managerV2.ListSeedPeersResponse>(
        async ({ hostname, ip }) => {
          const own = this.seedPeers.find((row) => row.hostname === hostname && row.ip === ip);
          if (own === undefined) throw new DfError('not-found', 'seed peer not found');
          const active = this.seedPeers.filter((row) => row.clusterId === own.clusterId && row.state === 'active');
          return { seedPeers: active.map(seedPeerMessage) };
        },
        log,
      ),
      deleteSeedPeer: handleUnary<managerV2.DeleteSeedPeerRequest, Empty>(
        async ({ hostname, ip, seedPeerClusterId }) => {
          const index = this.seedPeers.findIndex((row) => isSame(row, hostname, ip, Number(seedPeerClusterId)));
          if (index >= 0) this.seedPeers.splice(index, 1);
          return {};
        },
        log,
      ),
      keepAlive: (call: ServerReadableStream<managerV2.KeepAliveRequest, Empty>, answer: sendUnaryData<Empty>) => {
        this.keepAlive(call, answer);
      },
    };
  }

  /** With a cluster's id all of its schedulers, whatever their state; else those of all clusters, the fitting ones first. */
  private listSchedulers(request: managerV2.ListSchedulersRequest): managerV2.Scheduler[] {
    const clusterId = Number(request.schedulerClusterId);
    if (clusterId !== 0) {
      return this.schedulers.filter((row) => row.clusterId === clusterId).map((row) => this.schedulerMessage(row));
    }
    const usable = this.schedulers.filter(
      ({ state, message }) => state === 'active' && message.features.includes('schedule'),
    );
    return this.clusters
      .map((cluster) => ({ cluster, score: scoreOf(cluster, request) }))
      .sort((a, b) => b.score - a.score)
      .flatMap(({ cluster }) => usable.filter((row) => row.clusterId === cluster.id))
      .map((row) => this.schedulerMessage(row));
  }

  private schedulerMessage(row: InstanceRow<managerV2.UpdateSchedulerRequest>): managerV2.Scheduler {
    const { hostname, ip, clusterId, state, message } = row;
    const cluster = this.clusters.find(({ id }) => id === clusterId);
    const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
    return {
      id: BigInt(this.schedulers.indexOf(row) + 1),
      hostname,
      ip,
      port: message.port,
      idc: message.idc,
      location: message.location,
      state,
      schedulerClusterId: BigInt(clusterId),
      schedulerCluster: cluster && {
        id: BigInt(cluster.id),
        name: `cluster-${cluster.id}`,
        bio: '',
        config: json(cluster.config),
        clientConfig: json(cluster.clientConfig),
        scopes: json(cluster.scopes),
        seedClientConfig: json(cluster.seedClientConfig),
      },
      seedPeers: [],
      features: json(message.features),
    };
  }

  private keepAlive(call: ServerReadableStream<managerV2.KeepAliveRequest, Empty>, answer: sendUnaryData<Empty>): void {
    let row: { state: 'active' | 'inactive' } | undefined;
    call.on('data', ({ sourceType, hostname, ip, clusterId }: managerV2.KeepAliveRequest) => {
      if (row !== undefined) return;
      const rows: readonly InstanceRow<unknown>[] =
        sourceType === managerV2.SourceType.SCHEDULER_SOURCE ? this.schedulers : this.seedPeers;
      row = rows.find((one) => isSame(one, hostname, ip, Number(clusterId)));
      if (row === undefined) answer({ code: Status.INTERNAL, details: 'record not found' });
      else row.state = 'active';
    });
    const over = (): void => {
      if (row !== undefined) row.state = 'inactive';
    };
    call.on('end', () => {
      over();
      answer(null, {});
    });
    call.on('cancelled', over);
    call.on('error', over);
  }
}

function isSame(row: InstanceRow<unknown>, hostname: string, ip: string, clusterId: number): boolean {
  return row.hostname === hostname && row.ip === ip && row.clusterId === clusterId;
}

function seedPeerMessage(row: InstanceRow<managerV2.UpdateSeedPeerRequest>): managerV2.SeedPeer {
  const { hostname, ip, clusterId, state, message } = row;
  return {
    id: 1n,
    hostname,
    ip,
    state,
    type: message.type,
    port: message.port,
    downloadPort: message.downloadPort,
    idc: message.idc,
    location: message.location,
    seedPeerClusterId: BigInt(clusterId),
    seedPeerCluster: {
      id: BigInt(clusterId),
      name: `cluster-${clusterId}`,
      bio: '',
      config: Buffer.from(JSON.stringify(SEED_CLUSTER_CONFIG)),
    },
    schedulers: [],
  };
}

/** How well a cluster fits a caller. */
export function scoreOf(cluster: ClusterRow, caller: managerV2.ListSchedulersRequest): number {
  const { cidrs = [], hostnames = [], idc = '', location = '' } = cluster.scopes;
  const isInRange = cidrs.some((cidr) => contains(cidr, caller.ip));
  const isNamed = hostnames.some((pattern) => new RegExp(pattern).test(caller.hostname));
  const idcs = idc.toLowerCase().split('|');
  const isInIdc = !!caller.idc && idc !== '' && (idcs.includes(caller.idc.toLowerCase()) || idc === caller.idc);
  return (
    0.3 * Number(isInRange) +
    0.3 * Number(isNamed) +
    0.25 * Number(isInIdc) +
    0.14 * locationAffinity(location, caller.location) +
    0.01 * Number(cluster.isDefault)
  );
}

function contains(cidr: string, ip: string): boolean {
  const [network = '', prefix = ''] = cidr.split('/');
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(network) === 0 || isIP(ip) === 0) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family);
  return list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
}
