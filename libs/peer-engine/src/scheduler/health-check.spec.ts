import { schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient } from '@dragonfly/rpc';
import { isServing } from './health-check.js';

describe('isServing', () => {
  it('takes a client that was closed for one whose scheduler is gone', async () => {
    const client = createGrpcClient(schedulerV2.SchedulerClient, '127.0.0.1:1');
    client.close();
    await expect(isServing(client, 1_000)).resolves.toBe(false);
  });
});
