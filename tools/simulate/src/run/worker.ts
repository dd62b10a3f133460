/** One run in a process of its own: takes a {@link RunOrder}, sends {@link RunMessage}s, ends. */
import { DfError } from '@dragonfly/errors';
import { loadScenario } from '../scenario/load.js';
import type { RunResult } from './result.js';
import { simulate } from './simulation.js';

export interface RunOrder {
  readonly scenario: string;
  readonly strategy: string;
  readonly seed: number;
}

export type RunMessage =
  | { readonly kind: 'progress'; readonly ended: number; readonly total: number }
  | { readonly kind: 'result'; readonly result: RunResult }
  | { readonly kind: 'failure'; readonly message: string };

process.once('message', (order: RunOrder) => {
  run(order).then(send, (error: unknown) => {
    send({ kind: 'failure', message: DfError.from(error).message });
  });
});

async function run({ scenario, strategy, seed }: RunOrder): Promise<RunMessage> {
  const result = await simulate({
    loaded: loadScenario(scenario),
    strategy,
    seed,
    onProgress: (ended, total) => process.send?.({ kind: 'progress', ended, total } satisfies RunMessage),
  });
  return { kind: 'result', result };
}

function send(message: RunMessage): void {
  process.send?.(message, () => {
    process.disconnect();
  });
}
