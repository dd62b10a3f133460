import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { schedulerV2 } from '@dragonfly/proto';
import { BidiCall, createGrpcClient, readStream, unary } from '../src/index.js';
import { CleanUp, startScheduler } from './harness.js';

const DEADLINE_MS = 10_000;
const CLOSED = { code: 'unavailable', message: 'the client has been closed' };

type Client = schedulerV2.SchedulerClient;

function listHosts(client: Client, deadlineMs = DEADLINE_MS): Promise<schedulerV2.ListHostsResponse> {
  return unary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
    client.listHosts.bind(client),
    {},
    { deadlineMs },
  );
}

/** The first thing that a loop over the messages meets. */
async function firstOf(messages: AsyncIterable<unknown>): Promise<unknown> {
  for await (const message of messages) return message;
  return 'the end';
}

describe('a client that was closed', () => {
  const cleanUp = new CleanUp();
  let client: Client;

  beforeEach(async () => {
    ({ client } = await startScheduler(cleanUp, {
      listHosts: (_: unknown, answer: (error: null, hosts: object) => void) => answer(null, { hosts: [] }),
    }));
    await listHosts(client);
    client.close();
  });
  afterEach(() => cleanUp.run());

  it('rejects unary calls', async () => {
    await expect(listHosts(client)).rejects.toMatchObject(CLOSED);
  });

  it('opens streams that are over', async () => {
    const call = BidiCall.open<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
      client.announcePeer.bind(client),
    );
    await expect(firstOf(call.messages())).rejects.toMatchObject(CLOSED);
    await expect(call.send({ hostId: 'h' })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(firstOf(readStream(client.announcePeer() as never))).rejects.toMatchObject(CLOSED);
  });

  it('says nothing to a stream that was cancelled at once', async () => {
    const call = client.announcePeer();
    const ended = once(call, 'error');
    call.cancel();
    expect(await ended).toMatchObject([{ code: 1 }]);
  });

  it('tells those who watch its connection', async () => {
    const channel = client.getChannel();
    const told = Promise.withResolvers<Error | undefined>();
    channel.watchConnectivityState(channel.getConnectivityState(true), Infinity, told.resolve);
    expect((await told.promise)?.message).toBe('the client has been closed');
  });
});

describe('a client whose server never becomes ready', () => {
  const cleanUp = new CleanUp();
  let client: Client;
  let connected: Promise<void>;

  beforeEach(async () => {
    // Takes connections and says nothing.
    const first = Promise.withResolvers<void>();
    connected = first.promise;
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((socket) => {
      first.resolve();
      sockets.add(socket);
      socket.on('error', () => undefined);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    cleanUp.add(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    cleanUp.add(() => client.close());
  });
  afterEach(() => cleanUp.run());

  it('fails its calls at their deadline', async () => {
    await expect(listHosts(client, 50)).rejects.toMatchObject({ code: 'deadline-exceeded' });
  });

  it('fails calls that still wait when it is closed', async () => {
    const call = listHosts(client);
    await connected;
    client.close();
    await expect(call).rejects.toMatchObject({ code: 'unavailable' });
  });
});
