import { once } from 'node:events';
import { access, chmod, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { Client, credentials, loadPackageDefinition, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { type commonV2, schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, GrpcServer, handleBidi, handleUnary, unary, BidiCall } from '../src/index.js';
import { CapturedLog, CleanUp, startScheduler, temporaryDirectory } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());
const log = new CapturedLog();

type StatTask = schedulerV2.StatTaskRequest;
const statTask = handleUnary<StatTask, commonV2.Task>(async () => Promise.resolve({}), log);
const request = { hostId: 'h', taskId: 't' };
const soon = { deadlineMs: 5000 };

interface HealthClient extends Client {
  check: (request: object, callback: (error: ServiceError | null, answer?: { status: string }) => void) => void;
}

function healthOf(port: number): (service: string) => Promise<string> {
  const { grpc } = loadPackageDefinition({ 'grpc.health.v1.Health': healthService }) as never as {
    grpc: { health: { v1: { Health: new (address: string, c: unknown) => HealthClient } } };
  };
  const client = new grpc.health.v1.Health(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanUp.add(() => client.close());
  return async (name) =>
    new Promise((resolve) => {
      client.check({ service: name }, (error, answer) =>
        resolve(error === null ? String(answer?.status) : `code ${error.code}`),
      );
    });
}

describe('health', () => {
  it('follows setServing for every name and knows no others', async () => {
    const { server, port } = await startScheduler(cleanUp, { statTask }, { healthServices: ['extra'] });
    const check = healthOf(port);
    for (const name of ['', 'scheduler.v2.Scheduler', 'extra']) expect(await check(name)).toBe('SERVING');
    expect(await check('scheduler.v2.Nobody')).toBe('code 5');

    server.setServing(false);
    expect(await check('')).toBe('NOT_SERVING');
    expect(await check('scheduler.v2.Scheduler')).toBe('NOT_SERVING');
  });
});

describe('reflection', () => {
  it.each(['v1', 'v1alpha'])('%s lists the services and describes a message', async (version) => {
    const { port } = await startScheduler(cleanUp, { statTask });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    cleanUp.add(() => client.close());
    const identity = (bytes: Buffer): Buffer => bytes;
    const call = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      identity,
      identity,
    );
    const answers = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;

    call.write(Buffer.from([0x3a, 0])); // list_services = ''
    expect(String((await answers.next()).value)).toContain('scheduler.v2.Scheduler');

    const symbol = Buffer.from('common.v2.Host');
    call.write(Buffer.concat([Buffer.from([0x22, symbol.length]), symbol])); // file_containing_symbol
    const file = String((await answers.next()).value);
    expect(file).toContain('scheduler_cluster_id');
    call.end();
    await answers.next();
  });

  it('refuses what is no request, and goes on answering others', async () => {
    const { port } = await startScheduler(cleanUp, { statTask });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    cleanUp.add(() => client.close());
    const identity = (bytes: Buffer): Buffer => bytes;
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const ask = async (request: Buffer): Promise<string> => {
      const call = client.makeBidiStreamRequest(path, identity, identity);
      call.write(request);
      call.end();
      const answers: Buffer[] = [];
      for await (const answer of call as AsyncIterable<Buffer>) answers.push(answer);
      return String(Buffer.concat(answers));
    };

    await expect(ask(Buffer.from([0x3a, 200]))).rejects.toMatchObject({ code: status.INTERNAL });
    await expect(ask(Buffer.from([0x3a, 0]))).resolves.toContain('scheduler.v2.Scheduler');
  });
});

describe('the request rate limit', () => {
  it('refuses calls and streams beyond it, but no health check', async () => {
    const { client, port } = await startScheduler(
      cleanUp,
      { statTask, announcePeer: handleBidi((stream) => stream.onEnd(() => stream.end()), log) },
      { requestRateLimit: 1 },
    );
    const check = healthOf(port);
    await unary(client.statTask.bind(client), request, soon);
    await expect(unary(client.statTask.bind(client), request, soon)).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    await expect(BidiCall.open(client.announcePeer.bind(client)).messages().next()).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    expect(await check('')).toBe('SERVING');
  });
});

describe('message limits', () => {
  it('refuse a request that is too large and go on serving', async () => {
    const { client } = await startScheduler(cleanUp, { statTask }, { maxReceiveBytes: 1000 });
    const stat = client.statTask.bind(client);
    await expect(unary(stat, { ...request, hostId: 'x'.repeat(1000) }, soon)).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    await unary(stat, { ...request, hostId: 'x'.repeat(900) }, soon);
  });

  it('refuse an answer that is too large for the client', async () => {
    const big = handleUnary(async () => Promise.resolve({ state: 'x'.repeat(2000) }), log);
    const { port } = await startScheduler(cleanUp, { statTask: big });
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { maxReceiveBytes: 1000 });
    cleanUp.add(() => client.close());
    await expect(unary(client.statTask.bind(client), request, soon)).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
  });
});

describe('addresses', () => {
  it('serves TCP and a unix socket at once and takes the socket away at the end', async () => {
    const socketPath = path.join(await temporaryDirectory(cleanUp), 'sub', 'df.sock');
    const { server, client } = await startScheduler(
      cleanUp,
      { statTask },
      { addresses: ['127.0.0.1:0', `unix:${socketPath}`], socketMode: 0o777 },
    );
    expect(server.ports[0]).toBeGreaterThan(0);
    expect(server.ports[1]).toBe(0);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o777);

    const local = createGrpcClient(schedulerV2.SchedulerClient, `unix:${socketPath}`);
    cleanUp.add(() => local.close());
    await unary(client.statTask.bind(client), request, soon);
    await unary(local.statTask.bind(local), request, soon);

    await server.stop(0);
    await expect(access(socketPath)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('replaces the socket of a process that is gone', async () => {
    const directory = await temporaryDirectory(cleanUp);
    const socketPath = path.join(directory, 'df.sock');
    // A listening socket under another name stays behind when its server closes: that is what a killed process leaves.
    const dead = createServer().listen(path.join(directory, 'dead.sock'));
    await once(dead, 'listening');
    await rename(path.join(directory, 'dead.sock'), socketPath);
    dead.close();
    await once(dead, 'close');
    expect((await stat(socketPath)).isSocket()).toBe(true);

    await startScheduler(cleanUp, { statTask }, { addresses: [`unix:${socketPath}`] });
    const client = createGrpcClient(schedulerV2.SchedulerClient, `unix:${socketPath}`);
    cleanUp.add(() => client.close());
    await unary(client.statTask.bind(client), request, soon);
  });

  it('leaves a socket alone on which somebody listens', async () => {
    const socketPath = path.join(await temporaryDirectory(cleanUp), 'df.sock');
    const options = { addresses: [`unix:${socketPath}`] };
    await startScheduler(cleanUp, { statTask }, options);
    await expect(startScheduler(cleanUp, { statTask }, options)).rejects.toMatchObject({
      code: 'already-exists',
      message: `another process listens on ${socketPath}`,
    });
    expect((await stat(socketPath)).isSocket()).toBe(true);
  });

  it('never removes something that is not a socket', async () => {
    const file = path.join(await temporaryDirectory(cleanUp), 'df.sock');
    await writeFile(file, 'precious');
    await chmod(file, 0o600);
    await expect(startScheduler(cleanUp, { statTask }, { addresses: [`unix:${file}`] })).rejects.toMatchObject({
      code: 'already-exists',
    });
    expect((await stat(file)).size).toBe(8);
  });

  it('tells a taken port from other failures', async () => {
    const { port } = await startScheduler(cleanUp, { statTask });
    await expect(startScheduler(cleanUp, { statTask }, { addresses: [`127.0.0.1:${port}`] })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('EADDRINUSE') as string,
    });
  });
});

describe('stop', () => {
  it('lets a running call finish and refuses new ones', async () => {
    const answer = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const { server, client } = await startScheduler(cleanUp, {
      statTask: handleUnary<StatTask, commonV2.Task>(async () => {
        arrived.resolve();
        await answer.promise;
        return { id: 'late' };
      }, log),
    });
    const running = unary(client.statTask.bind(client), request, soon);
    await arrived.promise;
    const stopped = server.stop(30_000);
    await expect(unary(client.statTask.bind(client), request, { deadlineMs: 300 })).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|deadline-exceeded/) as string,
    });

    answer.resolve();
    expect((await running).id).toBe('late');
    await stopped;
  });

  it('cuts what outlives the grace period and says so', async () => {
    const cancelled = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    const {
      server,
      client,
      log: serverLog,
    } = await startScheduler(cleanUp, {
      announcePeer: handleBidi((stream) => {
        stream.onCancel(cancelled.resolve);
        opened.resolve();
      }, log),
    });
    const call = BidiCall.open(client.announcePeer.bind(client), { metadata: new Metadata() });
    const end = call.messages().next();
    await opened.promise;

    await Promise.all([server.stop(50), expect(end).rejects.toMatchObject({ code: 'cancelled' })]);
    await cancelled.promise;
    expect(serverLog.entries.map((entry) => entry.message)).toEqual([
      'cutting the calls that outlived the grace period',
    ]);
  });

  it('may be called twice', async () => {
    const { server } = await startScheduler(cleanUp, { statTask });
    await Promise.all([server.stop(0), server.stop(1000)]);
    await expect(GrpcServer.start({ services: [], addresses: ['nonsense'], log })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
