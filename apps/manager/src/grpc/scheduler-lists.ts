import { managerV2 } from '@dragonfly/proto';
import { type DirectMethod, directMethod } from '@dragonfly/rpc/nest';
import { Injectable } from '@nestjs/common';
import { SchedulerRegistry, type SchedulersOfCluster } from '../instances/scheduler-registry.js';
import { PeerSightings } from '../peers/peer-sightings.js';
import { ManagerMetrics } from '../status/manager-metrics.js';
import { schedulerMessage } from './wire.js';

/**
 * ListSchedulers of manager.v2, which every daemon asks every few seconds. Its answer is a list, so the encoded answers of
 * several clusters make up one when they stand one behind the other: each cluster's part is encoded once, for as long as
 * the topology that it belongs to is the current one. Requests have been validated before they come here.
 */
@Injectable()
export class SchedulerLists {
  /** By the part as an object: the registry hands out the same one until something in it may have changed. */
  private readonly encoded = new WeakMap<SchedulersOfCluster, Buffer>();

  constructor(
    private readonly schedulers: SchedulerRegistry,
    private readonly sightings: PeerSightings,
    private readonly metrics: ManagerMetrics,
  ) {}

  get method(): DirectMethod {
    return directMethod(managerV2.ManagerService.listSchedulers, (request) => this.list(request));
  }

  /** @returns an encoded ListSchedulersResponse */
  async list(request: managerV2.ListSchedulersRequest): Promise<Buffer> {
    this.sightings.note(request.hostname, request.ip);
    const clusterId = Number(request.schedulerClusterId);
    if (clusterId !== 0) {
      return this.bytesOf(await this.schedulers.ofCluster(clusterId));
    }
    return this.metrics.countSearch(request, async () => {
      const found = await this.schedulers.search({
        hostname: request.hostname,
        ip: request.ip,
        idc: request.idc ?? '',
        location: request.location ?? '',
      });
      return joined(found.map((part) => this.bytesOf(part)));
    });
  }

  private bytesOf(part: SchedulersOfCluster): Buffer {
    let bytes = this.encoded.get(part);
    if (!bytes) {
      const schedulers = part.map((scheduler) => schedulerMessage(scheduler, true));
      bytes = managerV2.ManagerService.listSchedulers.responseSerialize(
        managerV2.ListSchedulersResponse.fromPartial({ schedulers }),
      );
      this.encoded.set(part, bytes);
    }
    return bytes;
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only, ...more] = parts;
  return only && more.length === 0 ? only : Buffer.concat(parts);
}
