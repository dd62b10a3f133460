/**
 * Closed-loop load of ListSchedulers, run as a process of its own: as many connections as told, each with one call at a time.
 *
 * Messages in: GrpcOrder; out: `ready`, then a LoadResult for each order.
 */
import { managerV2 } from '@dragonfly/proto';
import { createGrpcClient } from '@dragonfly/rpc';
import { Metadata } from '@grpc/grpc-js';
import { sleep } from './child-messages.ts';
import type { LoadResult } from './http-load.ts';

export interface GrpcOrder {
  readonly port: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

const CALL_DEADLINE_MS = 10_000;

const request = managerV2.ListSchedulersRequest.fromPartial({
  sourceType: managerV2.SourceType.PEER_SOURCE,
  hostname: 'bench',
  ip: '127.0.0.1',
  schedulerClusterId: 1n,
});

async function run(order: GrpcOrder): Promise<LoadResult> {
  const durations: number[] = [];
  let isCounting = false;
  let isOver = false;
  const clients = Array.from({ length: order.connections }, () =>
    createGrpcClient(managerV2.ManagerClient, `127.0.0.1:${order.port}`),
  );
  const metadata = new Metadata();
  const ask = (client: managerV2.ManagerClient): void => {
    const askedAtMs = performance.now();
    client.listSchedulers(request, metadata, { deadline: Date.now() + CALL_DEADLINE_MS }, (error) => {
      if (isOver) return;
      if (error) throw error;
      if (isCounting) durations.push(performance.now() - askedAtMs);
      ask(client);
    });
  };
  clients.forEach(ask);
  await sleep(order.warmUpMs);
  isCounting = true;
  await sleep(order.windowMs);
  isOver = true;
  for (const client of clients) client.close();
  durations.sort((a, b) => a - b);
  const quantile = (share: number): number => durations[Math.floor((durations.length - 1) * share)] ?? 0;
  return { requests: durations.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

process.on('message', (order: GrpcOrder) => {
  void run(order).then((result) => process.send?.(result));
});
process.send?.('ready');
