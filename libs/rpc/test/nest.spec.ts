import 'reflect-metadata';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod, GrpcStreamCall } from '@nestjs/microservices';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { commonV2, schedulerV2 } from '@dragonfly/proto';
import { directMethod, GrpcExceptionFilter, nestGrpcOptions } from '../src/nest.js';
import { BidiCall, createGrpcClient, serveStream, unary } from '../src/index.js';
import { aHost, CapturedLog, CleanUp, RawCall, temporaryDirectory } from './harness.js';

const log = new CapturedLog();

@Controller()
class SchedulerController {
  @GrpcMethod('Scheduler', 'StatTask')
  statTask({ taskId }: schedulerV2.StatTaskRequest): Partial<commonV2.Task> {
    if (taskId === 'unknown') throw new DfError('not-found', 'no such task');
    if (taskId === 'broken') throw new TypeError('a mistake');
    return { id: taskId, contentLength: 2n ** 64n - 1n };
  }

  @GrpcMethod('Scheduler', 'AnnounceHost')
  announceHost(): object {
    return {};
  }

  @GrpcStreamCall('Scheduler', 'AnnouncePeer')
  async announcePeer(
    call: ServerDuplexStream<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>,
  ): Promise<void> {
    return serveStream(
      call,
      (stream) => {
        stream.onMessage((message) => {
          const description = message.request?.$case ?? 'nothing';
          stream.send({ response: { $case: 'needBackToSourceResponse', value: { description } } });
        });
        stream.onEnd(() => stream.end());
      },
      log,
    );
  }
}

@Module({ controllers: [SchedulerController] })
class AppModule {}

describe('a Nest microservice on our transport', () => {
  const cleanUp = new CleanUp();
  let app: INestMicroservice;
  let port: number;
  let client: schedulerV2.SchedulerClient;
  let socketPath: string;
  const soon = { deadlineMs: 5000 };

  beforeAll(async () => {
    socketPath = path.join(await temporaryDirectory(cleanUp), 'nest.sock');
    const options = nestGrpcOptions({
      services: [{ definition: schedulerV2.SchedulerService, name: 'scheduler.v2.Scheduler' }],
      url: '127.0.0.1:0',
      extraUrls: [`unix:${socketPath}`],
      log,
      direct: [
        directMethod(schedulerV2.SchedulerService.statPeer, async ({ peerId, hostId }) => {
          if (hostId === 'unknown') throw new DfError('not-found', 'no such peer');
          if (hostId === 'broken') throw new TypeError('a mistake');
          return schedulerV2.SchedulerService.statPeer.responseSerialize(commonV2.Peer.fromPartial({ id: peerId }));
        }),
      ],
    });
    app = await NestFactory.createMicroservice(AppModule, { ...options, logger: false });
    app.useGlobalFilters(new GrpcExceptionFilter(log));
    await app.listen();
    port = options.strategy.ports[0] ?? 0;
    client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`);
    cleanUp.add(() => client.close());
  });

  afterAll(async () => {
    await app.close();
    await cleanUp.run();
  });

  it('answers with a 64-bit number and fills the fields left out', async () => {
    const task = await unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, soon);
    expect(task).toMatchObject({ id: 't', contentLength: 18_446_744_073_709_551_615n, pieces: [], requestHeader: {} });
  });

  it('answers on the unix socket as well', async () => {
    const local = createGrpcClient(schedulerV2.SchedulerClient, `unix:${socketPath}`);
    expect((await unary(local.statTask.bind(local), { hostId: 'h', taskId: 't' }, soon)).id).toBe('t');
    local.close();
  });

  it('maps errors: ours by table, others to INTERNAL with a log line', async () => {
    const stat = client.statTask.bind(client);
    await expect(unary(stat, { hostId: 'h', taskId: 'unknown' }, soon)).rejects.toMatchObject({
      code: 'not-found',
      message: 'no such task',
    });
    await expect(unary(stat, { hostId: 'h', taskId: 'broken' }, soon)).rejects.toMatchObject({
      code: 'internal',
      message: 'internal error',
    });
    expect(log.entries).toMatchObject([{ level: 'error', fields: { method: '/scheduler.v2.Scheduler/StatTask' } }]);
  });

  it('validates requests', async () => {
    const announce = client.announceHost.bind(client);
    await expect(unary(announce, { host: aHost({ port: 80 }) }, soon)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'AnnounceHostRequest.host.port: must be >= 1024 and < 65535',
    });
  });

  it('answers a direct method with the bytes of its handler', async () => {
    const stat = client.statPeer.bind(client);
    const request = { hostId: 'h', taskId: 't', peerId: 'p-1' };
    expect(await unary(stat, request, soon)).toMatchObject({ id: 'p-1', pieces: [] });
    await expect(unary(stat, { ...request, hostId: 'unknown' }, soon)).rejects.toMatchObject({ code: 'not-found' });
    await expect(unary(stat, { ...request, hostId: 'broken' }, soon)).rejects.toMatchObject({ code: 'internal' });
    // Validated like every other.
    await expect(unary(stat, { ...request, peerId: '' }, soon)).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('refuses to start with a direct method that a controller has too', async () => {
    const options = nestGrpcOptions({
      services: [{ definition: schedulerV2.SchedulerService, name: 'scheduler.v2.Scheduler' }],
      url: '127.0.0.1:0',
      log,
      direct: [directMethod(schedulerV2.SchedulerService.statTask, async () => Buffer.alloc(0))],
    });
    const other = await NestFactory.createMicroservice(AppModule, { ...options, logger: false });
    await expect(other.listen()).rejects.toMatchObject({ code: 'failed-precondition' });
    await other.close();
  });

  it('serves a bidirectional stream beyond its grpc-timeout', async () => {
    const timed = new RawCall(port, '/scheduler.v2.Scheduler/AnnouncePeer', { 'grpc-timeout': '1m' });
    await timed.opened();

    const call = BidiCall.open<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
      client.announcePeer.bind(client),
    );
    await call.send({
      hostId: 'h',
      taskId: 't',
      peerId: 'p',
      request: { $case: 'downloadPeerStartedRequest', value: {} },
    });
    call.finish();
    const answers: unknown[] = [];
    for await (const { response } of call.messages()) answers.push(response?.value);
    expect(answers).toEqual([{ description: 'downloadPeerStartedRequest' }]);
    expect(await timed.halfClose().ended()).toBe(0);
  });

  it('answers UNIMPLEMENTED for a method without a handler', async () => {
    await expect(unary(client.deleteHost.bind(client), { hostId: 'h' }, soon)).rejects.toMatchObject({
      code: 'unimplemented',
    });
  });
});
