import { extSource } from '@dragonfly/proto';
import { BidiCall, createGrpcClient } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { FakeManager } from './support/fake-manager.js';
import { TestCluster } from './support/test-cluster.js';

const BUSY = 'the origin has as many readers as it may have';

it('a cluster says how many may read a source and what an origin may be asked for, also while it is read', async () => {
  await using manager = await FakeManager.start();
  await using cluster = await TestCluster.start({
    changes: { MANAGER__ADDR: `127.0.0.1:${manager.port}`, DYN_CONFIG__REFRESH_INTERVAL: '50ms' },
  });
  const client = createGrpcClient(extSource.SourceServiceClient, `127.0.0.1:${cluster.app.port}`);
  const calls: BidiCall<extSource.HoldSourceRequest, extSource.SourceGrant>[] = [];
  const ask = async (hostId: string, taskId = 'task') => {
    const call = BidiCall.open<extSource.HoldSourceRequest, extSource.SourceGrant>(client.holdSource.bind(client), {
      idleTimeoutMs: 15_000,
    });
    calls.push(call);
    await call.send({ taskId, hostId, peerId: `${hostId}-peer`, origin: 'http://origin', noWait: true });
    const grants = call.messages();
    return { grants, first: (await grants.next()).value };
  };
  try {
    const reader = await ask('a');
    expect(reader.first).toMatchObject({ granted: true, bytesPerSecond: 0n, concurrentRequests: 0 });
    expect((await ask('b')).first).toMatchObject({ granted: false });

    manager.clusterConfig = {
      source_lease: { readers: 2, origin_bandwidth_limit: 8000, origin_concurrent_requests: 2 },
    };
    await waitFor(async () => (await ask('b')).first?.granted, { what: 'a second reader' });
    // The first is told of the limit, and of its share when there are two.
    await waitFor(async () => ((await reader.grants.next()).value as extSource.SourceGrant).bytesPerSecond === 4000n, {
      what: 'half of the bandwidth',
    });
    expect((await ask('c', 'another')).first).toMatchObject({ granted: false, reason: BUSY });

    manager.clusterConfig = { source_lease: { readers: 99 } };
    await waitFor(async () => (await ask('c', 'another')).first?.granted, { what: "the scheduler's own settings" });
    expect((await ask('d')).first).toMatchObject({ granted: false });
  } finally {
    for (const call of calls) call.cancel();
    client.close();
  }
}, 20_000);
