/**
 * Load for the scheduler, in a process of its own so that its CPU is not the scheduler's. Started by `schedule.ts` with
 * the scheduler's address; takes {@link LoadOrder}s and answers each with a {@link LoadResult}.
 */
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { hostId, peerId, pieceCount, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2, schedulerV2, type DeepPartial } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { quantile } from '../measure/statistics.ts';

export interface LoadOrder {
  /** Conversations that go on at a time. */
  readonly streams: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface LoadResult {
  /** Whole conversations that ended within the window. */
  readonly conversations: number;
  /** From the sending of the register message to its answer. */
  readonly registerP50Ms: number;
  readonly registerP99Ms: number;
  /** Of all conversations since the start. */
  readonly knownPeers: number;
}

type Report = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;

const MIB = 1024 * 1024;
const CONNECTIONS = 16;
const HOSTS = 500;
const TASKS = 100;
const PIECES = 16;
const PIECE_BYTES = 4 * MIB;
const CONTENT_BYTES = PIECES * PIECE_BYTES;
const ANSWER_TIMEOUT_MS = 30_000;

const [address = ''] = process.argv.slice(2);
const clients = Array.from(
  { length: CONNECTIONS },
  () => new schedulerV2.SchedulerClient(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
);
const hosts = Array.from({ length: HOSTS }, (_, index) => ({
  ip: `10.1.${Math.floor(index / 250)}.${(index % 250) + 1}`,
  hostname: `load-${index}`,
}));
const tasks = Array.from({ length: TASKS }, (_, index) => {
  const url = `http://origin.example/${randomUUID()}/${index}`;
  return { url, id: taskIdOfUrl({ url }) };
});
let startedConversations = 0;

process.on('message', (order: LoadOrder) => {
  run(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${Error.isError(error) ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});

await announceHosts();
// One peer of each task has everything, so that the others are given parents and not the source.
await Promise.all(tasks.map((_, index) => converse(index)));
process.send?.('ready');

async function run({ streams, warmUpMs, windowMs }: LoadOrder): Promise<LoadResult> {
  const begin = performance.now() + warmUpMs;
  const end = begin + windowMs;
  const registerMs: number[] = [];
  let conversations = 0;
  await Promise.all(
    Array.from({ length: streams }, async () => {
      while (performance.now() < end) {
        const answeredMs = await converse(startedConversations);
        const now = performance.now();
        if (now < begin || now >= end) continue;
        conversations += 1;
        registerMs.push(answeredMs);
      }
    }),
  );
  return {
    conversations,
    registerP50Ms: quantile(registerMs, 0.5),
    registerP99Ms: quantile(registerMs, 0.99),
    knownPeers: startedConversations,
  };
}

/** One download as the scheduler sees it: 19 messages up and an answer. @returns how long the answer took */
async function converse(index: number): Promise<number> {
  startedConversations += 1;
  const host = hosts[index % HOSTS];
  const task = tasks[index % TASKS];
  const client = clients[index % CONNECTIONS];
  if (host === undefined || task === undefined || client === undefined) throw new Error('no such host or task');
  const ids = {
    hostId: hostId(host.ip, host.hostname, false),
    taskId: task.id,
    peerId: peerId(host.ip, host.hostname, false),
  };
  const call = client.announcePeer();
  const send = (request: DeepPartial<Report>): void => {
    call.write({ ...ids, request } as schedulerV2.AnnouncePeerRequest);
  };
  const answer = Promise.withResolvers<schedulerV2.AnnouncePeerResponse>();
  const ended = new Promise<void>((resolve, reject) => {
    call.on('data', (message: schedulerV2.AnnouncePeerResponse) => {
      answer.resolve(message);
    });
    call.on('error', (error) => {
      answer.reject(error);
      reject(error);
    });
    call.on('end', resolve);
  });
  const sentAt = performance.now();
  send({
    $case: 'registerPeerRequest',
    value: {
      download: {
        url: task.url,
        type: commonV2.TaskType.STANDARD,
        priority: commonV2.Priority.LEVEL6,
        schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
        actualPieceLength: BigInt(PIECE_BYTES),
        actualContentLength: BigInt(CONTENT_BYTES),
        actualPieceCount: BigInt(pieceCount(CONTENT_BYTES, PIECE_BYTES)),
      },
    },
  });
  const { response } = await answer.promise;
  const answeredMs = performance.now() - sentAt;
  const isSource = response?.$case === 'needBackToSourceResponse';
  const parentId = response?.$case === 'normalTaskResponse' ? (response.value.candidateParents[0]?.id ?? '') : '';
  send({ $case: isSource ? 'downloadPeerBackToSourceStartedRequest' : 'downloadPeerStartedRequest', value: {} });
  for (let number = 0; number < PIECES; number += 1) {
    const piece = {
      number,
      parentId: isSource ? undefined : parentId,
      offset: BigInt(number * PIECE_BYTES),
      length: BigInt(PIECE_BYTES),
      digest: 'crc32:1234567890',
      trafficType: isSource ? commonV2.TrafficType.BACK_TO_SOURCE : commonV2.TrafficType.REMOTE_PEER,
      cost: { seconds: 0n, nanos: 20_000_000 },
      createdAt: new Date(),
    };
    send(
      isSource
        ? { $case: 'downloadPieceBackToSourceFinishedRequest', value: { piece } }
        : { $case: 'downloadPieceFinishedRequest', value: { piece } },
    );
  }
  send({ $case: isSource ? 'downloadPeerBackToSourceFinishedRequest' : 'downloadPeerFinishedRequest', value: {} });
  call.end();
  await ended;
  return answeredMs;
}

async function announceHosts(): Promise<void> {
  const [client] = clients;
  if (client === undefined) return;
  for (const { ip, hostname } of hosts) {
    await unary(
      client.announceHost.bind(client),
      {
        host: {
          id: hostId(ip, hostname, false),
          type: 0,
          hostname,
          name: hostname,
          ip,
          port: 4000,
          downloadPort: 4000,
          os: 'linux',
          platform: 'linux',
          platformFamily: 'unix',
          network: { idc: 'idc-1', location: 'area|city' },
          build: { gitVersion: 'dfts-bench' },
        },
      },
      { deadlineMs: ANSWER_TIMEOUT_MS },
    );
  }
}
