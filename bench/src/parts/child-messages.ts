import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The next message of a process that takes part in a benchmark. @throws Error when it ends instead */
export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    const [message] = (await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(() => Promise.reject(new Error('a process of the benchmark ended early'))),
    ])) as [unknown];
    return message;
  } finally {
    // Whichever of the two did not come is not listened for any more.
    waiting.abort();
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
