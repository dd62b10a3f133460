import { jest } from '@jest/globals';
import { extSource } from '@dragonfly/proto';
import { BidiCall, createGrpcClient } from '@dragonfly/rpc';
import { TestCluster } from './support/test-cluster.js';

jest.setTimeout(20_000);

let cluster: TestCluster;
let client: extSource.SourceServiceClient;

afterEach(async () => {
  client.close();
  await cluster[Symbol.asyncDispose]();
});

async function start(changes: Readonly<Record<string, string>> = {}): Promise<void> {
  cluster = await TestCluster.start({ changes });
  client = createGrpcClient(extSource.SourceServiceClient, `127.0.0.1:${cluster.app.port}`);
}

/** One HoldSource stream. */
class Holder {
  private readonly call = BidiCall.open<extSource.HoldSourceRequest, extSource.SourceGrant>(
    client.holdSource.bind(client),
    { idleTimeoutMs: 15_000 },
  );
  private readonly grants = this.call.messages();

  async ask(hostId: string, request: Partial<extSource.HoldSourceRequest> = {}): Promise<extSource.SourceGrant> {
    await this.call.send({
      taskId: 'task',
      hostId,
      peerId: `${hostId}-peer`,
      origin: 'http://origin',
      noWait: true,
      ...request,
    });
    return this.next();
  }

  async next(): Promise<extSource.SourceGrant> {
    const { value } = await this.grants.next();
    if (value === undefined) throw new Error('the stream has ended');
    return value;
  }

  async end(): Promise<void> {
    this.call.finish();
    for await (const _grant of this.grants);
  }
}

describe('SourceService', () => {
  it('gives one host the lease, and the next when the first has ended', async () => {
    await start();
    const first = new Holder();
    expect(await first.ask('a')).toMatchObject({ granted: true, bytesPerSecond: 0n, concurrentRequests: 0 });
    expect(await new Holder().ask('b')).toMatchObject({ granted: false, holderPeerId: 'a-peer' });
    const waiting = new Holder();
    const granted = waiting.ask('b', { noWait: false });
    await first.end();
    expect((await granted).granted).toBe(true);
  });

  it('shares the lease of a conversation of the same host, and refuses it to all others', async () => {
    await start();
    const peer = await cluster.peer('task');
    await peer.register();
    expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
    expect((await new Holder().ask(peer.ids.hostId)).granted).toBe(true);
    expect((await new Holder().ask('b')).granted).toBe(false);
  });

  it('keeps a conversation waiting until the host that asked for the lease is done', async () => {
    await start();
    const holder = new Holder();
    await holder.ask('a');
    const peer = await cluster.peer('task');
    await peer.register();
    expect(await peer.hasAnswer()).toBe(false);
    await holder.end();
    expect((await peer.answer()).$case).toBe('needBackToSourceResponse');
  });

  it('takes the lease from one that does not report, and lets the next begin', async () => {
    await start();
    const silent = new Holder();
    await silent.ask('a');
    const next = new Holder();
    const granted = next.ask('b', { noWait: false });
    expect(await silent.next()).toMatchObject({ granted: false, reason: 'no report for 8 s' });
    expect((await granted).granted).toBe(true);
  });

  it('divides what an origin may be asked for among its readers, and tells them when that changes', async () => {
    await start({
      SCHEDULER__SOURCE_LEASE__ORIGIN_BANDWIDTH_LIMIT: '8MiB',
      SCHEDULER__SOURCE_LEASE__ORIGIN_CONCURRENT_REQUESTS: '2',
    });
    const first = new Holder();
    expect(await first.ask('a')).toMatchObject({ bytesPerSecond: 8n * 1024n * 1024n, concurrentRequests: 2 });
    const half = { granted: true, bytesPerSecond: 4n * 1024n * 1024n, concurrentRequests: 1 };
    const second = new Holder();
    expect(await second.ask('b', { taskId: 'another' })).toMatchObject(half);
    expect(await first.next()).toMatchObject(half);
    const busy = { granted: false, reason: 'the origin has as many readers as it may have' };
    expect(await new Holder().ask('c', { taskId: 'third' })).toMatchObject(busy);
    expect((await new Holder().ask('c', { taskId: 'third', origin: 'http://elsewhere' })).granted).toBe(true);
  });
});
