import type { ChildService } from '@dragonfly/testkit';

const ANSWER_TIMEOUT_MS = 60_000;
const LISTENING = /Debugger listening on (ws:\/\/\S+)/;
const MIB = 1024 * 1024;
const US_PER_SECOND = 1e6;

/** Start a Node process with it and {@link Inspector} can look inside. Costs nothing until somebody does. */
export const INSPECTABLE = '--inspect=127.0.0.1:0';

/** What is in use after everything else was collected, in MiB. */
export interface LiveMemory {
  readonly heapMib: number;
  /** Buffers, outside the heap. */
  readonly buffersMib: number;
}

/** Self time of one function. */
export interface ProfiledFunction {
  readonly name: string;
  /** File of the function; empty for what is not JavaScript. */
  readonly url: string;
  readonly seconds: number;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Looks into a Node process over its debugging port. */
export class Inspector {
  private readonly socket: WebSocket;
  private readonly waiting = new Map<number, (answer: unknown) => void>();
  private nextId = 1;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (message.id === undefined) return;
      this.waiting.get(message.id)?.(message.result);
      this.waiting.delete(message.id);
    });
  }

  /** @param service was started with {@link INSPECTABLE} */
  static async open(service: ChildService): Promise<Inspector> {
    const url = LISTENING.exec(service.log())?.[1];
    if (url === undefined) throw new Error(`${service.name} cannot be inspected`);
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true });
      socket.addEventListener('error', reject, { once: true });
    });
    return new Inspector(socket);
  }

  close(): void {
    this.socket.close();
  }

  async liveMemory(): Promise<LiveMemory> {
    // What the first collection finalizes the second one frees.
    await this.ask('HeapProfiler.collectGarbage');
    await this.ask('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize = 0 } = (await this.ask('Runtime.getHeapUsage')) as {
      usedSize: number;
      backingStorageSize?: number;
    };
    return { heapMib: usedSize / MIB, buffersMib: backingStorageSize / MIB };
  }

  /** @param work is going on meanwhile; its result is thrown away */
  async profile(work: () => Promise<unknown>): Promise<ProfiledFunction[]> {
    await this.ask('Profiler.enable');
    await this.ask('Profiler.start');
    await work();
    const { profile } = (await this.ask('Profiler.stop')) as { profile: CpuProfile };
    const seconds = new Map<number, number>();
    for (const [index, node] of profile.samples.entries()) {
      seconds.set(node, (seconds.get(node) ?? 0) + (profile.timeDeltas[index] ?? 0) / US_PER_SECOND);
    }
    return profile.nodes.map(({ id, callFrame }) => ({
      name: callFrame.functionName,
      url: callFrame.url,
      seconds: seconds.get(id) ?? 0,
    }));
  }

  private async ask(method: string): Promise<unknown> {
    const id = this.nextId;
    this.nextId += 1;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_TIMEOUT_MS);
      this.waiting.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
    });
    this.socket.send(JSON.stringify({ id, method }));
    return answer;
  }
}
