import { Database, insertRow, JobEntity } from '@dragonfly/persistence';
import { waitFor } from '@dragonfly/testkit';
import { JobReconciler } from '../src/jobs/job-reconciler.js';
import { JobRows } from '../src/jobs/job-rows.js';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { endOf, jobOf, LOOPBACK_ALLOWED, managerWith, type SeenJob } from './job-setup.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const FILE = 'http://origin.example/file.bin';

describe.each(engines)('a queue that loses entries, on $name', ({ freshDatabase }) => {
  it('loses no job: rows that no entry stands for are put in again, those of nobody fail', async () => {
    const scheduler = await FakeScheduler.start();
    const manager = await managerWith(scheduler, await freshDatabase());
    // As if the manager had ended, or Redis been away, between the row and the queue.
    const { job } = await manager.app.get(JobRows).insert({
      taskId: 'group_lost',
      bio: '',
      type: 'preheat',
      args: { type: 'file', url: FILE },
      userId: 0,
      clusterIds: [1],
      secrets: null,
      plan: { clusterIds: [1] },
      webhook: {},
    });
    const longAgo = new Date(Date.now() - 3 * 3_600_000);
    const orphan = await manager.app.get(Database).transaction((rows) =>
      insertRow(rows, JobEntity, longAgo, {
        taskId: 'group_old',
        type: 'preheat',
        state: 'PENDING',
        args: {},
        userId: 0,
      }),
    );
    await manager.app.get(JobReconciler).reconcile();
    expect(await endOf(manager, job.id)).toMatchObject({ state: 'SUCCESS' });
    expect(await jobOf(manager, orphan)).toMatchObject({ state: 'FAILURE', result: { state: 'FAILURE' } });
    await manager.stop();
    await scheduler.stop();
  });
});

describe.each(engines)('restarts on $name', ({ freshDatabase }) => {
  it('lose no job: what ran goes on under its id when the manager is back', async () => {
    const database = await freshDatabase();
    const workHome = freshDirectory();
    const scheduler = await FakeScheduler.start();
    const never = Promise.withResolvers<void>();
    scheduler.play = () => never.promise;
    let manager = await managerWith(scheduler, database, workHome);
    const answer = await manager.request('POST', '/api/v1/jobs', {
      type: 'preheat',
      args: { type: 'file', url: FILE, headers: { Authorization: 'secret' } },
    });
    const { id } = answer.body as SeenJob;
    await waitFor(() => scheduler.runs.length === 1, { what: 'the run' });
    await manager.stop();
    scheduler.play = async (request, stream) => succeed(request, stream);
    manager = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
    await manager.signIn();
    expect(await endOf(manager, id)).toMatchObject({ state: 'SUCCESS' });
    expect(scheduler.runs.map(({ jobId }) => jobId)).toEqual([scheduler.runs[0]?.jobId, scheduler.runs[0]?.jobId]);
    expect(scheduler.cancelled).toEqual([]);
    never.resolve();
    await manager.stop();
    await scheduler.stop();
  });
});
