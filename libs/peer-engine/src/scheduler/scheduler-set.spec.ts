import { schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { SchedulerSet } from './scheduler-set.js';

const OLD = { hostname: 'old', host: '127.0.0.1', port: 1, clusterId: 1 };
const NEW = { hostname: 'new', host: '127.0.0.1', port: 2, clusterId: 1 };

describe('SchedulerSet', () => {
  const answers = new Map<string, Promise<boolean>>();
  let set: SchedulerSet;

  beforeEach(() => {
    answers.clear();
    set = new SchedulerSet({
      connect: (address) => createGrpcClient(schedulerV2.SchedulerClient, address),
      log: silentLogger(),
      onUsable: () => {},
      onChange: () => {},
      checkHealth: ({ name }) => answers.get(name) ?? Promise.resolve(false),
    });
  });

  afterEach(() => set.stop());

  it('knows when the last one was lost, and forgets it with the next', async () => {
    expect(set.lostAtMs).toBeUndefined();
    answers.set('old', Promise.resolve(true));
    await set.update([OLD]);
    expect(set.lostAtMs).toBeUndefined();
    for (const link of set.all) set.reportDown(link, 'test');
    expect(set.lostAtMs).toBeLessThanOrEqual(performance.now());
    expect(set.isDown(OLD)).toBe(true);
    answers.set('new', Promise.resolve(true));
    await set.update([OLD, NEW]);
    expect([set.lostAtMs, set.all.map(({ name }) => name)]).toEqual([undefined, ['old', 'new']]);
  });

  it('offers none that a call found dead while others are still being looked at', async () => {
    answers.set('old', Promise.resolve(true));
    await set.update([OLD]);
    const [old] = set.forTask('task');
    if (old === undefined) throw new Error('not usable');
    const look = Promise.withResolvers<boolean>();
    answers.set('old', Promise.resolve(false));
    answers.set('new', look.promise);
    const updated = set.update([OLD, NEW]);
    await answers.get('old');
    await Promise.resolve();
    expect(set.isDown(OLD)).toBe(true);
    set.reportDown(old, 'test');
    expect(set.forTask('task')).toEqual([]);
    look.resolve(true);
    await updated;
    expect(set.all.map(({ name }) => name)).toEqual(['new']);
  });
});
