import { AddressGuard, GuardedHttp } from '@dragonfly/registry';
import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { GcService } from '../gc/gc.service.js';
import { PreheatsController } from '../harbor/preheats.controller.js';
import { PreheatTokenGuard } from '../harbor/preheat-token.guard.js';
import { RegistryHookController } from '../harbor/registry-hook.controller.js';
import { ImageDistributionService } from '../image-distribution/image-distribution.service.js';
import { MeteringCollector } from '../metering/metering-collector.js';
import { MeteringController } from '../metering/metering.controller.js';
import { MeteringRows } from '../metering/metering-rows.js';
import { MeteringService } from '../metering/metering.service.js';
import { PeerSightings } from '../peers/peer-sightings.js';
import { PeerSync, PeerSyncSettings } from '../peers/peer-sync.js';
import { DirectoryLister } from '../preheat/directory-lister.js';
import { PreheatPlanner } from '../preheat/preheat-planner.js';
import { SeedLister } from '../preheat/seed-lister.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { TriggersController } from '../triggers/triggers.controller.js';
import { TriggerRows } from '../triggers/trigger-rows.js';
import { TriggerRuns } from '../triggers/trigger-runs.js';
import { TriggersService } from '../triggers/triggers.service.js';
import { Watchers } from '../triggers/watchers.js';
import { WebhookSender } from '../webhooks/webhook-sender.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { SchedulerClients } from './dispatch/scheduler-clients.js';
import { JobAdmission } from './job-admission.js';
import { JobEnds } from './job-ends.js';
import { JobMetrics } from './job-metrics.js';
import { type JobParts, JobQueues } from './job-parts.js';
import { JobRateLimit } from './job-rate-limit.js';
import { JobReconciler } from './job-reconciler.js';
import { JobRights } from './job-rights.js';
import { JobRows } from './job-rows.js';
import { JobRunner } from './job-runner.js';
import { JobsController } from './jobs.controller.js';
import { JobsService } from './jobs.service.js';
import { JobWorkers, PeriodicIntervals, PeriodicTasks } from './job-workers.js';
import { SchedulerCandidates } from './scheduler-candidates.js';
import { SecretBox } from './secret-box.js';

/** Jobs and what belongs to them: preheating, peers, garbage collection, messages about ends. */
@Module({})
export class JobsModule {
  static on(platform: DynamicModule, auth: DynamicModule, audit: DynamicModule, parts: JobParts): DynamicModule {
    return {
      module: JobsModule,
      imports: [platform, auth, audit],
      // Triggers before jobs: `jobs/triggers` is no job's id.
      controllers: [TriggersController, RegistryHookController, JobsController, PreheatsController, MeteringController],
      providers: [
        ...connections(parts),
        JobsService,
        JobRows,
        JobEnds,
        JobRunner,
        JobReconciler,
        JobWorkers,
        JobRateLimit,
        JobAdmission,
        JobRights,
        JobMetrics,
        PeriodicTasks,
        SchedulerCandidates,
        WebhookSender,
        GcService,
        PeerSync,
        PreheatTokenGuard,
        PeerSightings,
        MeteringCollector,
        MeteringRows,
        MeteringService,
        TriggersService,
        TriggerRows,
        TriggerRuns,
        Watchers,
        ImageDistributionService,
      ],
      exports: [PeerSightings, SchedulerClients],
    };
  }
}

function connections({ settings, queues, secrets, guard, http, clients }: JobParts): Provider[] {
  return [
    { provide: JobQueues, useValue: queues },
    { provide: SecretBox, useValue: secrets },
    { provide: AddressGuard, useValue: guard },
    { provide: GuardedHttp, useValue: http },
    { provide: SchedulerClients, useValue: clients },
    { provide: Dispatcher, useValue: new Dispatcher(clients) },
    { provide: PeerSyncSettings, useValue: new PeerSyncSettings(settings) },
    {
      provide: PeriodicIntervals,
      useValue: new PeriodicIntervals(settings.syncPeersIntervalMs, settings.meteringIntervalMs),
    },
    {
      provide: DirectoryLister,
      useFactory: (topology: TopologyCache) =>
        new DirectoryLister({
          http,
          seeds: new SeedLister(topology, clients),
          huggingFaceEndpoint: settings.huggingFaceEndpoint,
        }),
      inject: [TopologyCache],
    },
    {
      provide: PreheatPlanner,
      useFactory: (lister: DirectoryLister) => new PreheatPlanner(guard, lister),
      inject: [DirectoryLister],
    },
  ];
}
