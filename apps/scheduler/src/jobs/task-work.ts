import { DfError } from '@dragonfly/errors';
import type { commonV2 } from '@dragonfly/proto';
import type { Host, Peer } from '@dragonfly/scheduling';
import { forEachBounded, type Slots } from './bounded.js';
import type { Daemons } from './daemons.js';
import type { FoundHost, JobRun } from './job-run.js';
import type { DeleteTaskSpec, GetTaskSpec } from './job-spec.js';
import type { Learning } from './learning.js';

/** Hosts told at once. */
export const HOST_BATCH = 500;

export interface TaskWorkContext {
  readonly daemons: Daemons;
  readonly hosts: () => Iterable<Host>;
  readonly calls: Slots;
  readonly learning: Learning;
  readonly nowMs: () => number;
  readonly fullHost: (host: Host) => commonV2.Host;
  /** The peers of a task on a host that this scheduler knows. */
  readonly peersOf: (host: Host, taskId: string) => readonly Peer[];
  /** Forgets a peer. */
  readonly forget: (peer: Peer) => void;
}

/** Asks every host whether it holds a task. Hosts that do not answer are counted as failed. */
export async function getTask(
  context: TaskWorkContext,
  spec: GetTaskSpec,
  run: JobRun,
  signal: AbortSignal,
): Promise<void> {
  const hosts = await knownHosts(context, signal);
  run.progress.total = hosts.length;
  await forEachBounded(hosts, spec.concurrentPeerCount, signal, (host) =>
    context.calls.run(async () => {
      const held = await holding(context, host, spec.taskId, signal);
      if (held instanceof DfError) run.addOutcome(outcomeOf(host, spec.taskId, held, 0));
      else run.progress.succeeded += 1;
      if (held !== undefined && !(held instanceof DfError)) run.addHosts([held]);
    }),
  );
}

/** Deletes a task on every host that holds it, and forgets the peers that had it. */
export async function deleteTask(
  context: TaskWorkContext,
  spec: DeleteTaskSpec,
  run: JobRun,
  signal: AbortSignal,
): Promise<void> {
  const { daemons, nowMs } = context;
  const hosts = await knownHosts(context, signal);
  await forEachBounded(hosts, spec.concurrentPeerCount, signal, (host) =>
    context.calls.run(async () => {
      const startedAtMs = nowMs();
      const held = await holding(context, host, spec.taskId, signal);
      let failure = held instanceof DfError ? held : undefined;
      if (held !== undefined && failure === undefined) {
        failure = await daemons.delete(host, spec.taskId, signal).then(
          () => undefined,
          (error: unknown) => {
            const known = DfError.from(error);
            return known.code === 'not-found' ? undefined : known;
          },
        );
      }
      if (failure === undefined) for (const peer of context.peersOf(host, spec.taskId)) context.forget(peer);
      if (held === undefined) return;
      run.progress.total += 1;
      run.addOutcome(outcomeOf(host, spec.taskId, failure, nowMs() - startedAtMs));
    }),
  );
}

/** Tells every host that has announced itself. */
export async function syncPeers(context: TaskWorkContext, run: JobRun, signal: AbortSignal): Promise<void> {
  const hosts = await knownHosts(context, signal);
  const found = hosts.map((host): FoundHost => ({
    host: context.fullHost(host),
    peerId: '',
    isFinished: false,
    createdAt: new Date(host.createdAtMs),
    updatedAt: new Date(host.updatedAtMs),
  }));
  run.progress.total = found.length;
  run.progress.succeeded = found.length;
  for (let first = 0; first < found.length; first += HOST_BATCH) run.addHosts(found.slice(first, first + HOST_BATCH));
}

async function knownHosts({ hosts, learning }: TaskWorkContext, signal: AbortSignal): Promise<readonly Host[]> {
  await learning.until(() => [...hosts()].length > 0, signal);
  return [...hosts()];
}

/** @returns undefined when the host does not hold the task, an error when it could not be asked */
async function holding(
  context: TaskWorkContext,
  host: Host,
  taskId: string,
  signal: AbortSignal,
): Promise<FoundHost | DfError | undefined> {
  let found: FoundHost | DfError | undefined;
  try {
    await context.daemons.stat(host, [taskId], signal, (_, answer) => {
      if (Error.isError(answer)) {
        const error = DfError.from(answer);
        found = error.code === 'not-found' ? undefined : error;
        return;
      }
      const [peer] = context.peersOf(host, taskId);
      found = {
        host: context.fullHost(host),
        peerId: peer?.id ?? host.id,
        isFinished: answer.finishedAt !== undefined,
        createdAt: answer.createdAt,
        updatedAt: answer.updatedAt,
      };
    });
  } catch (error) {
    return DfError.from(error);
  }
  return found;
}

function outcomeOf(
  host: Host,
  taskId: string,
  failure: DfError | undefined,
  costMs: number,
): Parameters<JobRun['addOutcome']>[0] {
  return {
    taskId,
    url: '',
    hostId: host.id,
    hostname: host.facts.hostname,
    ip: host.facts.ip,
    isSeed: host.facts.isSeed,
    succeeded: failure === undefined,
    description: failure?.message ?? '',
    contentLengthBytes: 0,
    costMs,
  };
}
