import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { StathatRing } from '@dragonfly/hashring';
import { commonV2, msToDuration, type schedulerV2 } from '@dragonfly/proto';
import { hostPort, readStream, unary } from '@dragonfly/rpc';
import { inParallel } from './in-parallel.js';
import { listHosts, LONG_CALL_DEADLINE_MS, nameOf, outcomeOf, taskIdOf } from './original-hosts.js';
import type { SchedulerClients } from './scheduler-clients.js';
import type { PreheatWork, WorkEnd, WorkRun } from './scheduler-work.js';

/** Pause between two questions how far a preheat is: at first short, for small files; then longer. */
const POLL_MIN_MS = 500;
const POLL_MAX_MS = 15_000;
/** Pieces may be long in coming, but not that long. */
const DOWNLOAD_IDLE_MS = 120_000;
const SEED_TYPES: ReadonlySet<number> = new Set([1, 2, 3]);

/**
 * Preheats through a scheduler of the original, which works in the background and can only be asked who holds what; a
 * file with a tag is downloaded by the hosts at our own request.
 */
export class OriginalPreheat {
  constructor(private readonly clients: SchedulerClients) {}

  /** @throws DfError what the scheduler says, or the reason of the signal */
  async run(run: WorkRun, work: PreheatWork): Promise<WorkEnd> {
    const needsOwnHand = work.downloads.some(({ tag }) => tag !== undefined && tag !== '');
    if (needsOwnHand && !work.image) {
      return this.downloadAtHosts(run, work);
    }
    if (work.image) {
      await this.startImage(run, work, work.image);
    } else {
      await inParallel(work.downloads, work.concurrentTaskCount, (download) => this.startFile(run, work, download));
    }
    return this.pollUntilThere(run, work);
  }

  private async startImage(run: WorkRun, work: PreheatWork, image: NonNullable<PreheatWork['image']>): Promise<void> {
    const client = this.clients.scheduler(run.target);
    await unary(
      client.preheatImage.bind(client),
      {
        ...imageQuestion(work, image),
        ...targetsOf(run, work),
      },
      { deadlineMs: LONG_CALL_DEADLINE_MS, signal: run.signal },
    );
  }

  private async startFile(run: WorkRun, work: PreheatWork, download: commonV2.Download): Promise<void> {
    const client = this.clients.scheduler(run.target);
    await unary(
      client.preheatFile.bind(client),
      {
        url: download.url,
        pieceLength: download.pieceLength,
        application: download.application,
        filteredQueryParams: download.filteredQueryParams,
        header: download.requestHeader,
        objectStorage: download.objectStorage,
        hdfs: download.hdfs,
        ...targetsOf(run, work),
      },
      { deadlineMs: LONG_CALL_DEADLINE_MS, signal: run.signal },
    );
  }

  /** Asks who holds what until as many hosts hold each task as the scope means. */
  private async pollUntilThere(run: WorkRun, work: PreheatWork): Promise<WorkEnd> {
    const wanted = await this.wantedHosts(run, work);
    if (wanted === 'none') {
      return { state: 'failed', description: 'the scheduler knows no host in the scope of the preheat' };
    }
    const told = new Set<string>();
    let missing: commonV2.Download[] = [...work.downloads];
    try {
      for (let pauseMs = POLL_MIN_MS; ; pauseMs = Math.min(POLL_MAX_MS, pauseMs * 2)) {
        const stillMissing: commonV2.Download[] = [];
        const ofImage = work.image ? await this.holdersOfLayers(run, work, work.image) : undefined;
        await inParallel(missing, work.concurrentTaskCount, async (download) => {
          const finished = ofImage ? ofImage.get(download.url) : await this.holdersOfFile(run, download);
          const holders = wanted.hosts.filter((host) => finished?.has(nameOf(host)));
          for (const host of holders) {
            const outcome = outcomeOf(download, host, undefined);
            const key = `${outcome.taskId} ${outcome.hostId}`;
            if (!told.has(key)) {
              told.add(key);
              run.onEvent({ type: 'outcome', outcome });
            }
          }
          if (holders.length < wanted.count) {
            stillMissing.push(download);
          }
        });
        missing = stillMissing;
        this.tellProgress(run, work, wanted.count, told.size, 0);
        if (missing.length === 0) {
          return { state: 'succeeded', description: '' };
        }
        await delay(pauseMs, undefined, { signal: run.signal, ref: false });
      }
    } catch (error) {
      for (const download of missing) {
        run.onEvent({ type: 'outcome', outcome: outcomeOf(download, undefined, 'not there when the waiting ended') });
      }
      throw error;
    }
  }

  /** Hosts of the scope, and how many of them must hold each task in the end. */
  private async wantedHosts(
    run: WorkRun,
    work: PreheatWork,
  ): Promise<{ hosts: commonV2.Host[]; count: number } | 'none'> {
    const all = await listHosts(this.clients, run);
    const inScope = work.scope === 'all_peers' ? all : all.filter((host) => SEED_TYPES.has(host.type));
    if (inScope.length === 0) {
      return 'none';
    }
    if (work.scope === 'single_seed_peer') {
      return { hosts: inScope, count: 1 };
    }
    if (work.ips.length > 0) {
      const hosts = inScope.filter((host) => work.ips.includes(host.ip));
      return hosts.length > 0 ? { hosts, count: hosts.length } : 'none';
    }
    return { hosts: inScope, count: hostCount(inScope.length, work) };
  }

  /** Names of the hosts that have all of the file. */
  private async holdersOfFile(run: WorkRun, download: commonV2.Download): Promise<ReadonlySet<string>> {
    const client = this.clients.scheduler(run.target);
    const { peers } = await unary(
      client.statFile.bind(client),
      {
        url: download.url,
        pieceLength: download.pieceLength,
        tag: download.tag,
        application: download.application,
        filteredQueryParams: download.filteredQueryParams,
        header: download.requestHeader,
        timeout: msToDuration(LONG_CALL_DEADLINE_MS),
      },
      { deadlineMs: LONG_CALL_DEADLINE_MS, signal: run.signal },
    );
    return new Set(peers.filter(({ cachedFiles }) => cachedFiles.some((file) => file.isFinished ?? true)).map(nameOf));
  }

  /** Names of the hosts that have all of a layer, by the layer's URL. */
  private async holdersOfLayers(
    run: WorkRun,
    work: PreheatWork,
    image: NonNullable<PreheatWork['image']>,
  ): Promise<Map<string, Set<string>>> {
    const client = this.clients.scheduler(run.target);
    const { peers } = await unary(
      client.statImage.bind(client),
      {
        ...imageQuestion(work, image),
        timeout: msToDuration(LONG_CALL_DEADLINE_MS),
      },
      { deadlineMs: LONG_CALL_DEADLINE_MS, signal: run.signal },
    );
    const found = new Map<string, Set<string>>();
    for (const peer of peers) {
      for (const layer of peer.cachedLayers.filter(({ isFinished }) => isFinished ?? true)) {
        const names = found.get(layer.url) ?? new Set();
        names.add(nameOf(peer));
        found.set(layer.url, names);
      }
    }
    return found;
  }

  private async downloadAtHosts(run: WorkRun, work: PreheatWork): Promise<WorkEnd> {
    const all = await listHosts(this.clients, run);
    let succeeded = 0;
    let failed = 0;
    const perTask = work.downloads.map((download) => ({ download, hosts: chooseHosts(all, work, download) }));
    const total = perTask.reduce((sum, { hosts }) => sum + hosts.length, 0);
    if (total === 0) {
      return { state: 'failed', description: 'the scheduler knows no host in the scope of the preheat' };
    }
    await inParallel(perTask, work.concurrentTaskCount, async ({ download, hosts }) => {
      await inParallel(hosts, work.concurrentPeerCount, async (host) => {
        let description: string | undefined;
        const startedAtMs = performance.now();
        try {
          await this.downloadAt(run, host, download);
          succeeded += 1;
        } catch (error) {
          run.signal.throwIfAborted();
          description = DfError.from(error).message;
          failed += 1;
        }
        const costMs = Math.round(performance.now() - startedAtMs);
        run.onEvent({ type: 'outcome', outcome: { ...outcomeOf(download, host, description), costMs } });
        run.onEvent({
          type: 'progress',
          progress: { total, succeeded, failed, completedBytes: 0, totalBytes: 0 },
        });
      });
    });
    return failed === 0
      ? { state: 'succeeded', description: '' }
      : { state: 'failed', description: `${failed} of ${total} downloads failed` };
  }

  private async downloadAt(run: WorkRun, host: commonV2.Host, download: commonV2.Download): Promise<void> {
    const client = this.clients.daemon(host.ip, host.port);
    try {
      const call = client.downloadTask({
        download: { ...download, type: commonV2.TaskType.STANDARD, timeout: msToDuration(run.timeoutMs) },
      });
      const answers = readStream(call, { signal: run.signal, idleTimeoutMs: DOWNLOAD_IDLE_MS });
      for (;;) {
        if ((await answers.next()).done) {
          return;
        }
      }
    } finally {
      client.close();
    }
  }

  private tellProgress(run: WorkRun, work: PreheatWork, perTask: number, succeeded: number, failed: number): void {
    const total = work.downloads.length * perTask;
    run.onEvent({
      type: 'progress',
      progress: { total, succeeded: Math.min(total, succeeded), failed, completedBytes: 0, totalBytes: 0 },
    });
  }
}

function targetsOf(run: WorkRun, work: PreheatWork): Partial<schedulerV2.PreheatFileRequest> {
  return {
    scope: work.scope,
    ips: [...work.ips],
    count: work.count,
    percentage: work.percentage,
    concurrentTaskCount: BigInt(work.concurrentTaskCount),
    concurrentPeerCount: BigInt(work.concurrentPeerCount),
    timeout: msToDuration(run.timeoutMs),
  };
}

/** Of so many hosts: the count, else the share, rounded up; at least one. */
function hostCount(available: number, { count, percentage }: PreheatWork): number {
  if (count !== undefined) {
    return Math.min(available, count);
  }
  return percentage === undefined ? available : Math.max(1, Math.ceil((available * percentage) / 100));
}

function chooseHosts(
  all: readonly commonV2.Host[],
  work: PreheatWork,
  download: commonV2.Download,
): readonly commonV2.Host[] {
  const seeds = all.filter((host) => SEED_TYPES.has(host.type));
  switch (work.scope) {
    case 'single_seed_peer': {
      const byAddress = new Map(seeds.map((host) => [hostPort(host.ip, host.port), host]));
      const chosen = new StathatRing(byAddress.keys()).get(taskIdOf(download));
      const host = chosen === undefined ? undefined : byAddress.get(chosen);
      return host ? [host] : [];
    }
    case 'all_seed_peers':
    case 'all_peers': {
      const inScope = work.scope === 'all_peers' ? all : seeds;
      return work.ips.length > 0
        ? inScope.filter((host) => work.ips.includes(host.ip))
        : inScope.slice(0, hostCount(inScope.length, work));
    }
  }
}

/** What PreheatImage and StatImage are both told: the image, and what makes the ids of its layers' tasks. */
function imageQuestion({ downloads: [first] }: PreheatWork, image: NonNullable<PreheatWork['image']>) {
  return {
    ...image,
    header: { ...image.headers },
    pieceLength: first?.pieceLength,
    tag: first?.tag,
    application: first?.application,
    filteredQueryParams: first?.filteredQueryParams,
    enableTaskIdBasedBlobDigest: first?.enableTaskIdBasedBlobDigest,
  };
}
