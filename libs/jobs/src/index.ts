/**
 * @packageDocumentation
 * Job queue port with an adapter in the SQL database (embedded) and one on Redis (several managers).
 *
 * ```ts
 * const queue = new DatabaseJobQueue({ database, name: 'jobs', isSoleProcess: true }); // or new BullmqJobQueue(…) of @dragonfly/jobs/bullmq
 * await queue.work({ handlers: { greet: async ({ payload }) => console.log(payload) } });
 * await queue.enqueue({ id: 'greet-1', kind: 'greet', payload: { name: 'you' }, maxAttempts: 3 });
 * await queue.schedule('nightly', { kind: 'greet', payload: {}, cron: '0 2 * * *' });
 * await queue.close();
 * ```
 */
export { DatabaseJobQueue, type DatabaseQueueOptions } from './database-queue.js';
export * from './job-queue.js';
export { nextCronTime } from './requests.js';
