import { quantile } from '../measure/statistics.ts';
import { Http2Connection } from './http2-connection.ts';
import { MESSAGES_PER_CONVERSATION, type Script } from './script.ts';
import type { MessageSizes } from './echo-script.ts';

const CONNECTIONS = 16;
const FRAME_HEADER_BYTES = 9;
const GRPC_HEADER_BYTES = 5;
/** Conversations that may be open when they begin by the clock, and are not waited for. */
const MAX_OPEN = 4000;

/** How conversations follow one another. */
export interface Pace {
  /** So many at a time, each followed by the next at once. */
  readonly streams?: number;
  /** Or so many begin a second, whatever the server does. */
  readonly perSecond?: number;
}

/** One measurement. */
export interface WindowFigures {
  /** Whole conversations that ended within the window. */
  readonly conversations: number;
  readonly messages: number;
  /** From the sending of the first message to its answer. */
  readonly answerP50Ms: number;
  readonly answerP99Ms: number;
  /** Of the process that makes the load, in the window. */
  readonly loadCpuSeconds: number;
  /** By the clock; begun conversations that could not be begun in time, because too many were open. */
  readonly missed: number;
}

/** Holds conversations by a script with one server. */
export class Conversations {
  private readonly script: Script;
  private readonly connections: readonly Http2Connection[];
  private begun = 0;
  private answerBytes = 0;

  private constructor(script: Script, connections: readonly Http2Connection[]) {
    this.script = script;
    this.connections = connections;
  }

  static async connect(address: string, script: Script): Promise<Conversations> {
    const connections: Http2Connection[] = [];
    for (let count = 0; count < CONNECTIONS; count += 1) {
      connections.push(await Http2Connection.open(address, script.path));
    }
    return new Conversations(script, connections);
  }

  /** Conversations begun since the start. */
  get count(): number {
    return this.begun;
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }

  /** Of the conversations so far. */
  sizes(): MessageSizes {
    const first = this.script.first(0);
    const rest = this.script.rest(0, Buffer.alloc(0));
    const lengths = rest.offsets.map((offset, place) => (rest.offsets[place + 1] ?? rest.bytes.length) - offset);
    const around = FRAME_HEADER_BYTES + GRPC_HEADER_BYTES;
    return {
      firstBytes: first.bytes.length - around,
      answerBytes: this.answerBytes,
      restBytes: lengths.map((length) => length - around),
    };
  }

  /** Exactly so many conversations, so many at a time. */
  async run(count: number, streams: number): Promise<void> {
    let left = count;
    await Promise.all(
      Array.from({ length: Math.min(count, streams) }, async () => {
        while (left > 0) {
          left -= 1;
          await this.converse();
        }
      }),
    );
  }

  /** Registers so many peers that say nothing more; their streams stay open until the connections are closed. */
  async hold(count: number): Promise<void> {
    await Promise.all(
      Array.from(
        { length: count },
        () =>
          new Promise<void>((resolve, reject) => {
            const index = this.next();
            const { bytes, offsets } = this.script.first(index);
            this.connectionOf(index).call(bytes, offsets, {
              onMessage: () => {
                resolve();
              },
              onEnd: (failure) => {
                reject(new Error(failure ?? 'the server ended a stream that was to stay open'));
              },
            });
          }),
      ),
    );
  }

  /** Conversations for a while, of which those are counted that end after the warm-up. */
  async measure(pace: Pace, warmUpMs: number, windowMs: number): Promise<WindowFigures> {
    const beginMs = performance.now() + warmUpMs;
    const endMs = beginMs + windowMs;
    const answerMs: number[] = [];
    let conversations = 0;
    const one = async (): Promise<void> => {
      const answered = await this.converse();
      const nowMs = performance.now();
      if (nowMs < beginMs || nowMs >= endMs) return;
      conversations += 1;
      answerMs.push(answered);
    };
    let cpuBefore: NodeJS.CpuUsage | undefined;
    let used: NodeJS.CpuUsage | undefined;
    const timers = [
      setTimeout(() => {
        cpuBefore = process.cpuUsage();
      }, warmUpMs),
      setTimeout(() => {
        used = process.cpuUsage(cpuBefore);
      }, warmUpMs + windowMs),
    ];
    const missed =
      pace.perSecond === undefined
        ? await this.closedLoop(pace.streams ?? 1, endMs, one)
        : await this.byTheClock(pace.perSecond, endMs, one);
    for (const timer of timers) clearTimeout(timer);
    // The last conversation may end before the clock has had its turn.
    const { user, system } = used ?? process.cpuUsage(cpuBefore);
    return {
      conversations,
      messages: conversations * MESSAGES_PER_CONVERSATION,
      answerP50Ms: quantile(answerMs, 0.5),
      answerP99Ms: quantile(answerMs, 0.99),
      loadCpuSeconds: (user + system) / 1e6,
      missed,
    };
  }

  private async closedLoop(streams: number, endMs: number, one: () => Promise<void>): Promise<number> {
    await Promise.all(
      Array.from({ length: streams }, async () => {
        while (performance.now() < endMs) await one();
      }),
    );
    return 0;
  }

  private async byTheClock(perSecond: number, endMs: number, one: () => Promise<void>): Promise<number> {
    const startedAtMs = performance.now();
    const open = new Set<Promise<void>>();
    let due = 0;
    let missed = 0;
    let failure: Error | undefined;
    for (let nowMs = startedAtMs; nowMs < endMs && failure === undefined; nowMs = performance.now()) {
      for (; due <= ((nowMs - startedAtMs) / 1000) * perSecond; due += 1) {
        if (open.size >= MAX_OPEN) {
          missed += 1;
          continue;
        }
        const conversation = one().then(
          () => void open.delete(conversation),
          (error: unknown) => {
            failure ??= error as Error;
          },
        );
        open.add(conversation);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(open);
    if (failure !== undefined) throw failure;
    return missed;
  }

  private next(): number {
    this.begun += 1;
    return this.begun;
  }

  private connectionOf(index: number): Http2Connection {
    const connection = this.connections[index % CONNECTIONS];
    if (connection === undefined) throw new Error('no connection');
    return connection;
  }

  /** @returns how long the answer took, in ms */
  private converse(): Promise<number> {
    return new Promise((resolve, reject) => {
      const index = this.next();
      const connection = this.connectionOf(index);
      const { bytes, offsets } = this.script.first(index);
      const sentAtMs = performance.now();
      let answeredMs: number | undefined;
      const streamId = connection.call(bytes, offsets, {
        onMessage: (answer) => {
          if (answeredMs !== undefined) return;
          answeredMs = performance.now() - sentAtMs;
          this.answerBytes = answer.length;
          const rest = this.script.rest(index, answer);
          connection.send(streamId, rest.bytes, rest.offsets);
        },
        onEnd: (failure) => {
          if (failure === undefined && answeredMs !== undefined) resolve(answeredMs);
          else reject(new Error(`conversation ${index}: ${failure ?? 'ended without an answer'}`));
        },
      });
    });
  }
}
