import { randomUUID } from 'node:crypto';
import { taskIdOfBlobDigestUrl, taskIdOfUrl } from '@dragonfly/ids';
import { AddressGuard, ImageResolver } from '@dragonfly/registry';
import { Injectable } from '@nestjs/common';
import { Dispatcher } from '../jobs/dispatch/dispatcher.js';
import { inParallel } from '../jobs/dispatch/in-parallel.js';
import { type JobCaller, requireApplication } from '../jobs/job-caller.js';
import type { ImageDistributionArgs } from '../jobs/job-requests.js';
import { originRefusal } from '../jobs/origin-refusal.js';
import { SchedulerCandidates } from '../jobs/scheduler-candidates.js';
import { filteredParamsOf, timeoutMsOf } from '../preheat/preheat-arguments.js';

const DEFAULT_CONCURRENT_LAYERS = 8;
const DEFAULT_CONCURRENT_PEERS = 500;

interface LayerBody {
  url: string;
}

/** Which hosts hold which layers of an image. */
export interface ImageDistributionBody {
  image: { layers: LayerBody[] };
  peers: { ip: string; hostname: string; cached_layers: LayerBody[]; scheduler_cluster_id: number }[];
}

/** Finds out where the layers of an image are; the request stays open meanwhile. */
@Injectable()
export class ImageDistributionService {
  private readonly images: ImageResolver;

  constructor(
    guard: AddressGuard,
    private readonly candidates: SchedulerCandidates,
    private readonly dispatcher: Dispatcher,
  ) {
    this.images = new ImageResolver({ guard });
  }

  /** @throws DfError of the registry; `failed-precondition` without a scheduler */
  async find(
    order: { args: ImageDistributionArgs; scheduler_cluster_ids?: number[] },
    caller: JobCaller,
  ): Promise<ImageDistributionBody> {
    const { args } = order;
    requireApplication(caller, args.application);
    const timeoutMs = timeoutMsOf(args.timeout);
    const signal = AbortSignal.timeout(timeoutMs);
    const clusterIds = await this.candidates.clusters(caller.scope.clustersOf(order.scheduler_cluster_ids));
    const targets = await this.candidates.all(clusterIds);
    const { blobs } = await this.images
      .resolve({
        url: args.url,
        headers: args.headers ?? {},
        signal,
        ...(args.platform ? { platforms: [args.platform] } : {}),
        ...(args.username ? { username: args.username, password: args.password ?? '' } : {}),
      })
      .catch((error: unknown) => {
        throw originRefusal(error, true);
      });
    const peers = new Map<string, ImageDistributionBody['peers'][number]>();
    const searchId = randomUUID();
    await inParallel(blobs, args.concurrent_layer_count || DEFAULT_CONCURRENT_LAYERS, async ({ url }) => {
      const taskIds = taskIdsOf(args, url);
      await Promise.all(
        targets.flatMap((target) =>
          taskIds.map((taskId) =>
            this.dispatcher.run({
              target,
              work: {
                kind: 'get_task',
                taskId,
                concurrentPeerCount: args.concurrent_peer_count || DEFAULT_CONCURRENT_PEERS,
              },
              runId: `distribution-${searchId}-${taskId}-${target.id}`,
              timeoutMs,
              signal,
              onEvent: (event) => {
                for (const { host, isFinished } of event.type === 'hosts' ? event.hosts : []) {
                  const key = `${host.ip} ${host.hostname} ${target.clusterId}`;
                  const peer = peers.get(key) ?? {
                    ip: host.ip,
                    hostname: host.hostname,
                    cached_layers: [],
                    scheduler_cluster_id: target.clusterId,
                  };
                  peers.set(key, peer);
                  if (isFinished && !peer.cached_layers.some((layer) => layer.url === url)) {
                    peer.cached_layers.push({ url });
                  }
                }
              },
            }),
          ),
        ),
      );
    });
    return {
      image: { layers: blobs.map(({ url }) => ({ url })) },
      peers: [...peers.values()].filter((peer) => peer.cached_layers.length > 0),
    };
  }
}

/** A layer may be held under the id of its digest (daemons' proxies, our preheats) and under that of its URL. */
function taskIdsOf(args: ImageDistributionArgs, url: string): string[] {
  const byDigest = taskIdOfBlobDigestUrl(url);
  const byUrl = taskIdOfUrl({
    url,
    filteredQueryParams: filteredParamsOf(args.filtered_query_params),
    tag: args.tag || undefined,
    application: args.application || undefined,
    pieceLengthBytes: args.piece_length || undefined,
  });
  return byDigest === undefined ? [byUrl] : [byDigest, byUrl];
}
