import { waitFor } from '@dragonfly/testkit';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { FakeScheduler, succeed } from './fake-scheduler.js';
import { addScheduler, endOf, jobOf, LOOPBACK_ALLOWED, type SeenJob } from './job-setup.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

/** Several managers need a database and a store that they share. */
const shared = engines.filter(({ name }) => name !== 'SQLite');
if (shared.length === 0) {
  console.warn('skip: several managers are not tested here: no MariaDB and Redis');
  it.skip('several managers', () => undefined);
}

describe.each(shared)('several managers on $name', ({ freshDatabase }) => {
  it('run each job once, end it from either side, and take over from one that has gone', async () => {
    const database = await freshDatabase();
    const workHome = freshDirectory();
    const scheduler = await FakeScheduler.start();
    const one = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
    const two = await RunningManager.start(database, workHome, LOOPBACK_ALLOWED);
    await one.signIn();
    await two.signIn();
    await addScheduler(one, scheduler.port);
    const preheat = async (manager: RunningManager, n: number): Promise<number> => {
      const args = { type: 'file', url: `http://origin.example/${n}` };
      const answer = await manager.request('POST', '/api/v1/jobs', { type: 'preheat', args });
      expect(answer).toMatchObject({ status: 200 });
      return (answer.body as SeenJob).id;
    };

    const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => preheat(n % 2 ? one : two, n)));
    for (const id of ids) {
      expect(await endOf(one, id)).toMatchObject({ state: 'SUCCESS' });
    }
    expect(scheduler.runs).toHaveLength(12);
    expect(new Set(scheduler.runs.map(({ jobId }) => jobId)).size).toBe(12);

    const never = Promise.withResolvers<void>();
    scheduler.play = () => never.promise;
    const hanging = await preheat(one, 100);
    await waitFor(() => scheduler.runs.length === 13, { what: 'the run' });
    // Whichever runs it, both can end it; so the other one is asked at least once of the two.
    await two.request('POST', `/api/v1/jobs/${hanging}/cancel`);
    expect(await endOf(one, hanging)).toMatchObject({ state: 'FAILURE', result: { cancelled: true } });
    const second = await preheat(two, 101);
    await waitFor(() => scheduler.runs.length === 14, { what: 'the second run' });
    await one.request('POST', `/api/v1/jobs/${second}/cancel`);
    expect(await endOf(two, second)).toMatchObject({ state: 'FAILURE', result: { cancelled: true } });

    const third = await preheat(one, 102);
    await waitFor(() => scheduler.runs.length === 15, { what: 'the third run' });
    scheduler.play = async (request, stream) => succeed(request, stream);
    await one.stop();
    // When the one that has gone ran it, the other one takes it up; else it goes on as it was.
    await waitFor(async () => scheduler.runs.length === 16 || (await jobOf(two, third)).state === 'PENDING', {
      what: 'the taking over',
    });
    never.resolve();
    expect(await endOf(two, third)).toMatchObject({ state: 'SUCCESS' });
    await two.stop();
    await scheduler.stop();
  }, 60_000);
});
