import { Database, SchedulerEntity } from '@dragonfly/persistence';
import { waitFor } from '@dragonfly/testkit';
import { TopologyCache } from '../src/topology/topology-cache.js';
import { RunningManager, type Answer } from './running-manager.js';

/** Lets jobs reach registries and webhooks of the test. */
export const LOOPBACK_ALLOWED = { job: { outgoing: { allow: ['loopback'] } } };

/** A scheduler at the port, active, as if it kept itself alive. */
export async function addScheduler(manager: RunningManager, port: number, hostName = 'scheduler-1'): Promise<number> {
  const made = await manager.request('POST', '/api/v1/schedulers', {
    host_name: hostName,
    ip: '127.0.0.1',
    port,
    scheduler_cluster_id: 1,
  });
  const { id } = made.body as { id: number };
  const alive = new Date(Date.now() + 3_600_000);
  await manager.app
    .get(Database)
    .transaction((rows) => rows.update(SchedulerEntity, { id }, { state: 'active', lastKeepAliveAt: alive }));
  await manager.app.get(TopologyCache).invalidate();
  return id;
}

/** A manager with a session that knows the scheduler and lets jobs reach the servers of the test. */
export async function managerWith(
  scheduler: { readonly port: number },
  database: object,
  workHome?: string,
): Promise<RunningManager> {
  const manager = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
  await manager.signIn();
  await addScheduler(manager, scheduler.port);
  return manager;
}

/** Puts a preheat of cluster 1 in. @param more fields of the job beside its arguments */
export function preheat(manager: RunningManager, args: object, more: object = {}): Promise<Answer> {
  return manager.request('POST', '/api/v1/jobs', { type: 'preheat', args, scheduler_cluster_ids: [1], ...more });
}

/** The same for one that must be taken. */
export async function acceptedPreheat(manager: RunningManager, args: object, more?: object): Promise<SeenJob> {
  const answer = await preheat(manager, args, more);
  expect(answer).toMatchObject({ status: 200 });
  return answer.body as SeenJob;
}

/** A job as the API shows it, as far as the tests look. */
export interface SeenJob {
  id: number;
  task_id: string;
  state: string;
  args: Record<string, unknown>;
  result: {
    state: string;
    cancelled?: boolean;
    error?: string;
    progress: Record<string, number>;
    job_states: { state: string; error: string; results: Record<string, unknown>[] | null }[];
  } | null;
}

export async function jobOf(manager: RunningManager, id: number): Promise<SeenJob> {
  const { body, status } = await manager.request('GET', `/api/v1/jobs/${id}`);
  if (status !== 200) {
    throw new Error(`GET job ${id}: ${status} ${JSON.stringify(body)}`);
  }
  return body as SeenJob;
}

/** Waits until the job has ended. */
export async function endOf(manager: RunningManager, id: number): Promise<SeenJob> {
  await waitFor(async () => (await jobOf(manager, id)).state !== 'PENDING', {
    what: `the end of job ${id}`,
    timeoutMs: 15_000,
  });
  return jobOf(manager, id);
}
