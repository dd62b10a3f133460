import { DfError } from '@dragonfly/errors';
import { type commonV2, commonV2 as common } from '@dragonfly/proto';
import type { Host } from '@dragonfly/scheduling';
import { forEachBounded, type Slots } from './bounded.js';
import type { Daemons } from './daemons.js';
import type { JobRun } from './job-run.js';
import type { Learning } from './learning.js';
import type { PreheatSpec } from './job-spec.js';
import type { SeedChoice } from './seed-choice.js';
import { hasHosts, targetHosts } from './target-hosts.js';
import { taskIdOfDownload } from './task-ids.js';

/** Seeds tried for one task with the scope `single-seed-peer`, when the first cannot be reached. */
const MAX_SEED_ATTEMPTS = 3;
/** Pairs of a task and a host in one job: what is kept of a job grows with them. */
const MAX_PAIRS = 200_000;

export interface PreheatContext {
  readonly daemons: Daemons;
  readonly seeds: SeedChoice;
  /** All hosts that this scheduler knows, at this moment. */
  readonly hosts: () => Iterable<Host>;
  /** Calls under way for all jobs together. */
  readonly calls: Slots;
  readonly learning: Learning;
  readonly nowMs: () => number;
}

/**
 * Lets hosts fetch tasks. One host that fails does not stop the others; the outcomes say who did.
 * @throws DfError `failed-precondition` when there is nobody to fetch, `resource-exhausted` when the job is too large
 */
export async function preheat(
  context: PreheatContext,
  spec: PreheatSpec,
  run: JobRun,
  signal: AbortSignal,
): Promise<void> {
  const tasks = spec.downloads.map((download) => ({
    download: downloadForPreheat(download),
    taskId: taskIdOfDownload(download),
  }));
  const { progress } = run;
  if (spec.target.scope === 'single-seed-peer') {
    progress.total = tasks.length;
    const anyTaskId = tasks[0]?.taskId ?? '';
    await context.learning.until(() => context.seeds.ownerOf(anyTaskId, new Set()) !== undefined, signal);
    await forEachBounded(tasks, spec.concurrentTaskCount, signal, (task) => onOneSeed(context, task, run, signal));
    return;
  }
  await context.learning.until(() => hasHosts(context.hosts(), spec.target), signal);
  const { hosts, unknownIps } = targetHosts(context.hosts(), spec.target, tasks[0]?.taskId ?? '');
  progress.total = tasks.length * (hosts.length + unknownIps.length);
  if (progress.total > MAX_PAIRS) {
    throw new DfError('resource-exhausted', `${progress.total} downloads are more than a job may have, ${MAX_PAIRS}`);
  }
  await forEachBounded(tasks, spec.concurrentTaskCount, signal, async (task) => {
    for (const ip of unknownIps) run.addOutcome(unknownHost(task, ip));
    await forEachBounded(hosts, spec.concurrentPeerCount, signal, async (host) => {
      await context.calls.run(() => onHost(context, task, host, run, signal));
    });
  });
}

interface PreheatTask {
  readonly download: commonV2.Download;
  readonly taskId: string;
}

/** The seed that the ring names; another one when it cannot be reached. */
async function onOneSeed(context: PreheatContext, task: PreheatTask, run: JobRun, signal: AbortSignal): Promise<void> {
  const { seeds, calls } = context;
  const tried = new Set<string>();
  for (;;) {
    const seed = seeds.ownerOf(task.taskId, tried);
    if (seed === undefined) {
      run.addOutcome({ ...unknownHost(task, ''), description: 'no seed peer that serves is known to this scheduler' });
      return;
    }
    tried.add(seed.id);
    const isLast = tried.size >= MAX_SEED_ATTEMPTS || seeds.ownerOf(task.taskId, tried) === undefined;
    const outcome = await calls.run(() => onHost(context, task, seed, run, signal, isLast));
    if (outcome === 'told') return;
    seeds.unreachable(seed.id);
  }
}

/** @returns `unreachable` when nothing has been told about the host because another one may be tried */
async function onHost(
  { daemons, nowMs }: PreheatContext,
  task: PreheatTask,
  host: Host,
  run: JobRun,
  signal: AbortSignal,
  isLast = true,
): Promise<'told' | 'unreachable'> {
  const startedAtMs = nowMs();
  const bytes = new HostBytes(run);
  let failure: DfError | undefined;
  let taskId = '';
  try {
    signal.throwIfAborted();
    taskId = await daemons.download(host, task.download, bytes, signal);
    bytes.completed();
  } catch (error) {
    failure = DfError.from(error);
    bytes.gaveUp();
    if (failure.code === 'unavailable' && !isLast && !signal.aborted) return 'unreachable';
  }
  run.addOutcome({
    taskId: taskId || task.taskId,
    url: task.download.url,
    hostId: host.id,
    hostname: host.facts.hostname,
    ip: host.facts.ip,
    isSeed: host.facts.isSeed,
    succeeded: failure === undefined,
    description: failure?.message ?? '',
    contentLengthBytes: bytes.contentLengthBytes,
    costMs: nowMs() - startedAtMs,
  });
  return 'told';
}

/** Adds what one host downloads to the progress of the job. */
class HostBytes {
  contentLengthBytes = 0;
  #completedBytes = 0;

  constructor(private readonly run: JobRun) {}

  started(contentLengthBytes: number, storedBytes: number): void {
    this.run.progress.totalBytes += contentLengthBytes - this.contentLengthBytes;
    this.contentLengthBytes = contentLengthBytes;
    this.#add(storedBytes - this.#completedBytes);
  }

  pieceFinished(lengthBytes: number): void {
    this.#add(lengthBytes);
  }

  /** All of it is there, also what nobody reported piece by piece. */
  completed(): void {
    if (this.contentLengthBytes === 0) this.started(this.#completedBytes, this.#completedBytes);
    this.#add(this.contentLengthBytes - this.#completedBytes);
  }

  /** What will not come is not waited for. */
  gaveUp(): void {
    this.run.progress.totalBytes -= Math.max(0, this.contentLengthBytes - this.#completedBytes);
  }

  #add(bytes: number): void {
    this.#completedBytes += bytes;
    this.run.progress.completedBytes += bytes;
  }
}

function unknownHost(task: PreheatTask, ip: string): Parameters<JobRun['addOutcome']>[0] {
  return {
    taskId: task.taskId,
    url: task.download.url,
    hostId: '',
    hostname: '',
    ip,
    isSeed: false,
    succeeded: false,
    description: `no host of the scope has the address ${ip}`,
    contentLengthBytes: 0,
    costMs: 0,
  };
}

/**
 * What a host is asked for: into its store, through the scheduler also when the content is small, so that a thousand
 * hosts do not go to the source one by one.
 */
function downloadForPreheat(download: commonV2.Download): commonV2.Download {
  return {
    ...download,
    type: common.TaskType.STANDARD,
    needPieceContent: false,
    needBackToSource: false,
    schedulingPolicy: common.SchedulingPolicy.ALWAYS,
  };
}
