import { DfError } from '@dragonfly/errors';
import { managerV2, type DeepPartial } from '@dragonfly/proto';
import { statusOfError } from '@dragonfly/rpc';
import { Logger } from '../logger.js';
import { Metadata, type sendUnaryData, type ServerReadableStream } from '@grpc/grpc-js';
import { Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import { ApplicationsReader } from '../instances/applications.js';
import { KeepAliveService } from '../instances/keep-alive.js';
import { SchedulerRegistry } from '../instances/scheduler-registry.js';
import { SeedPeerRegistry } from '../instances/seed-peer-registry.js';
import { GrpcErrorFilter } from './grpc-error.filter.js';
import { serveKeepAlive } from './serve-keep-alive.js';
import {
  applicationMessage,
  jsonObjectOf,
  schedulerMessage,
  seedPeerMessage,
  seedPeerWithSchedulersMessage,
} from './wire.js';

const SERVICE = 'Manager';

/**
 * manager.v2: what schedulers and peers ask the manager; ListSchedulers is in scheduler-lists.ts. Requests have been
 * validated before they come here.
 */
@Controller()
@UseFilters(GrpcErrorFilter)
export class ManagerGrpcController {
  constructor(
    private readonly schedulers: SchedulerRegistry,
    private readonly seedPeers: SeedPeerRegistry,
    private readonly applications: ApplicationsReader,
    private readonly keepAlives: KeepAliveService,
    private readonly log: Logger,
  ) {}

  @GrpcMethod(SERVICE, 'GetSeedPeer')
  async getSeedPeer(request: managerV2.GetSeedPeerRequest): Promise<DeepPartial<managerV2.SeedPeer>> {
    const { hostname, ip, seedPeerClusterId } = request;
    return seedPeerWithSchedulersMessage(await this.seedPeers.get(hostname, ip, Number(seedPeerClusterId)));
  }

  @GrpcMethod(SERVICE, 'ListSeedPeers')
  async listSeedPeers(request: managerV2.ListSeedPeersRequest): Promise<DeepPartial<managerV2.ListSeedPeersResponse>> {
    const found = await this.seedPeers.neighbours(request.hostname, request.ip);
    return { seedPeers: found.map((seedPeer) => seedPeerMessage(seedPeer)) };
  }

  @GrpcMethod(SERVICE, 'UpdateSeedPeer')
  async updateSeedPeer(request: managerV2.UpdateSeedPeerRequest): Promise<DeepPartial<managerV2.SeedPeer>> {
    const registered = await this.seedPeers.register({
      hostname: request.hostname,
      ip: request.ip,
      type: request.type,
      idc: request.idc ?? '',
      location: request.location ?? '',
      port: request.port,
      downloadPort: request.downloadPort,
      clusterId: Number(request.seedPeerClusterId),
    });
    const { id, hostName, ip, port, seedPeerClusterId } = registered.seedPeer;
    this.log.info({ id, hostName, ip, port, seedPeerClusterId }, 'seed peer has registered');
    return seedPeerMessage(registered);
  }

  @GrpcMethod(SERVICE, 'DeleteSeedPeer')
  async deleteSeedPeer(request: managerV2.DeleteSeedPeerRequest): Promise<object> {
    await this.seedPeers.delete(request.hostname, request.ip, Number(request.seedPeerClusterId));
    return {};
  }

  @GrpcMethod(SERVICE, 'GetScheduler')
  async getScheduler(request: managerV2.GetSchedulerRequest): Promise<DeepPartial<managerV2.Scheduler>> {
    const { hostname, ip, schedulerClusterId } = request;
    return schedulerMessage(await this.schedulers.get(hostname, ip, Number(schedulerClusterId)), false);
  }

  @GrpcMethod(SERVICE, 'UpdateScheduler')
  async updateScheduler(request: managerV2.UpdateSchedulerRequest): Promise<DeepPartial<managerV2.Scheduler>> {
    const config = jsonObjectOf(request.config);
    if (!config) {
      throw new DfError('invalid-argument', 'invalid UpdateSchedulerRequest.Config: must be a JSON object');
    }
    const clusterId = Number(request.schedulerClusterId);
    const { hostname, ip } = request;
    const { id, port } = await this.schedulers.register({
      hostname,
      ip,
      port: request.port,
      idc: request.idc ?? '',
      location: request.location ?? '',
      clusterId,
      features: request.features,
      config,
    });
    this.log.info({ id, hostName: hostname, ip, port, schedulerClusterId: clusterId }, 'scheduler has registered');
    return schedulerMessage({ ...(await this.schedulers.get(hostname, ip, clusterId)), seedPeers: [] }, false);
  }

  @GrpcMethod(SERVICE, 'ListApplications')
  async listApplications(): Promise<DeepPartial<managerV2.ListApplicationsResponse>> {
    return { applications: (await this.applications.list()).map(applicationMessage) };
  }

  @GrpcStreamCall(SERVICE, 'KeepAlive')
  async keepAlive(
    call: ServerReadableStream<managerV2.KeepAliveRequest, object>,
    answer: sendUnaryData<object>,
  ): Promise<void> {
    // Some clients give up when response headers do not come soon; the answer itself comes at the end of the stream.
    call.sendMetadata(new Metadata());
    try {
      await serveKeepAlive(call, this.keepAlives);
      answer(null, {});
    } catch (error) {
      answer(statusOfError(error, call.getPath(), this.log));
    }
  }
}
