/**
 * Load for the scheduler and for the transport that it is compared with, in a process of its own so that its CPU is not
 * the servers'. Started by `schedule.ts` with the scheduler's address; takes {@link LoadOrder}s and answers each.
 */
import { credentials } from '@grpc/grpc-js';
import { schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { AnnounceScript } from '../load/announce-script.ts';
import { Conversations, type Pace } from '../load/conversations.ts';
import { EchoScript } from '../load/echo-script.ts';

export type Target = 'scheduler' | 'reference';

/** What the process is asked to do; the answer is given with each. */
export type LoadOrder =
  /** Whole conversations for a while. Answer: `WindowFigures`. */
  | {
      readonly kind: 'measure';
      readonly target: Target;
      readonly pace: Pace;
      readonly warmUpMs: number;
      readonly windowMs: number;
    }
  /** So many conversations. Answer: peers that the scheduler has heard of. */
  | { readonly kind: 'run'; readonly count: number; readonly streams: number }
  /** So many streams that register and stay open. Answer: peers that the scheduler has heard of. */
  | { readonly kind: 'hold'; readonly count: number }
  /** Connects to a server of grpc.testing.TestService that is to carry messages of the same sizes. Answer: true. */
  | { readonly kind: 'reference'; readonly address: string };

const ANSWER_TIMEOUT_MS = 30_000;

const [address = ''] = process.argv.slice(2);
const script = new AnnounceScript();
await announceHosts();
const targets: Partial<Record<Target, Conversations>> = { scheduler: await Conversations.connect(address, script) };
// One peer of each task has everything, so that the others are given parents and not the source.
await conversationsWith('scheduler').run(script.tasks.length, script.tasks.length);
process.on('message', (order: LoadOrder) => {
  obey(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${Error.isError(error) ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
      // Without this and its connections it ends.
      process.disconnect();
      for (const target of Object.values(targets)) target.close();
    },
  );
});
process.send?.('ready');

async function obey(order: LoadOrder): Promise<unknown> {
  switch (order.kind) {
    case 'measure':
      return conversationsWith(order.target).measure(order.pace, order.warmUpMs, order.windowMs);
    case 'run':
      await conversationsWith('scheduler').run(order.count, order.streams);
      return conversationsWith('scheduler').count;
    case 'hold':
      await conversationsWith('scheduler').hold(order.count);
      return conversationsWith('scheduler').count;
    case 'reference':
      targets.reference = await Conversations.connect(
        order.address,
        new EchoScript(conversationsWith('scheduler').sizes()),
      );
      return true;
  }
}

function conversationsWith(target: Target): Conversations {
  const found = targets[target];
  if (found === undefined) throw new Error(`not connected: ${target}`);
  return found;
}

async function announceHosts(): Promise<void> {
  const client = new schedulerV2.SchedulerClient(address, credentials.createInsecure());
  for (const { id, ip, hostname } of script.hosts) {
    await unary(
      client.announceHost.bind(client),
      {
        host: {
          id,
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
  client.close();
}
