/**
 * Closed-loop load over plain HTTP/1.1, run as a process of its own: as many connections as told, each with one request at a
 * time. A few lines over sockets cost far less than the server they measure, unlike an HTTP client library.
 *
 * Messages in: HttpOrder; out: `ready`, then an HttpResult for each order.
 */
import { connect, type Socket } from 'node:net';
import { sleep } from './child-messages.ts';

export interface HttpOrder {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface HttpResult extends LoadResult {
  readonly bodyBytes: number;
}

const HEADER_END = Buffer.from('\r\n\r\n');

/** One connection that asks the same again and again. */
class Asker {
  private buffered: Buffer = Buffer.alloc(0);
  private askedAtMs = 0;
  private readonly socket: Socket;
  private readonly request: string;
  private readonly onAnswer: (durationMs: number, bodyBytes: number) => void;

  constructor(order: HttpOrder, onAnswer: (durationMs: number, bodyBytes: number) => void) {
    this.onAnswer = onAnswer;
    const headers = Object.entries({ host: '127.0.0.1', ...order.headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    this.request = `GET ${order.path} HTTP/1.1\r\n${headers.join('')}\r\n`;
    this.socket = connect(order.port, '127.0.0.1', () => this.ask());
    this.socket.setNoDelay(true);
    this.socket.on('data', (data) => this.take(data));
  }

  close(): void {
    this.socket.destroy();
  }

  private ask(): void {
    this.askedAtMs = performance.now();
    this.socket.write(this.request);
  }

  private take(data: Buffer): void {
    this.buffered = this.buffered.length === 0 ? data : Buffer.concat([this.buffered, data]);
    const end = this.buffered.indexOf(HEADER_END);
    if (end < 0) return;
    const head = this.buffered.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 200')) throw new Error(`answered ${head.slice(0, 200)}`);
    const bodyBytes = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
    if (!Number.isInteger(bodyBytes)) throw new Error('an answer without a length');
    if (this.buffered.length < end + HEADER_END.length + bodyBytes) return;
    this.buffered = Buffer.alloc(0);
    this.onAnswer(performance.now() - this.askedAtMs, bodyBytes);
    this.ask();
  }
}

async function run(order: HttpOrder): Promise<HttpResult> {
  const durations: number[] = [];
  let bodyBytes = 0;
  let isCounting = false;
  const askers = Array.from(
    { length: order.connections },
    () =>
      new Asker(order, (durationMs, bytes) => {
        bodyBytes = bytes;
        if (isCounting) durations.push(durationMs);
      }),
  );
  await sleep(order.warmUpMs);
  isCounting = true;
  await sleep(order.windowMs);
  isCounting = false;
  for (const asker of askers) asker.close();
  durations.sort((a, b) => a - b);
  const quantile = (share: number): number => durations[Math.floor((durations.length - 1) * share)] ?? 0;
  return { requests: durations.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), bodyBytes };
}

process.on('message', (order: HttpOrder) => {
  void run(order).then((result) => process.send?.(result));
});
process.send?.('ready');
