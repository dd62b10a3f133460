import type { ChildService } from '@dragonfly/testkit';
import type { Figures } from '../measure/comparison.ts';
import { INSPECTABLE, Inspector } from '../measure/inspector.ts';
import { rssMib } from '../measure/process-figures.ts';
import { profileParts } from '../measure/profile-parts.ts';
import type { LoadOrder } from './schedule-load.ts';

const PEERS = 10_000;
const OPEN_STREAMS = 1000;
const STREAMS = 100;
const PROFILE_MS = 4000;

interface Finding {
  readonly subject: string;
  readonly figures: Figures;
}

/** Memory of known peers and of open streams, and where the time goes. */
export const schedulerInside = {
  /** Flags that the scheduler must have been started with. */
  flags: [INSPECTABLE] as readonly string[],

  async look(scheduler: ChildService, order: (order: LoadOrder) => Promise<unknown>): Promise<Finding[]> {
    const inspector = await Inspector.open(scheduler);
    try {
      const idle = await memory(inspector, scheduler);
      await order({ kind: 'run', count: PEERS, streams: STREAMS });
      const first = await memory(inspector, scheduler);
      const parts = await shares(inspector, order);
      const before = await memory(inspector, scheduler);
      await order({ kind: 'run', count: PEERS, streams: STREAMS });
      const known = await memory(inspector, scheduler);
      await order({ kind: 'hold', count: OPEN_STREAMS });
      const open = await memory(inspector, scheduler);
      return [
        // With everything that the first work brings: compiled code, tables, a heap that has grown.
        { subject: `first ${PEERS} known peers`, figures: difference(first, idle) },
        { subject: `${PEERS} more known peers`, figures: difference(known, before) },
        { subject: `${OPEN_STREAMS} open streams`, figures: difference(open, known) },
        ...parts,
      ];
    } finally {
      inspector.close();
    }
  },
};

async function memory(inspector: Inspector, scheduler: ChildService): Promise<Record<string, number>> {
  const used = rssMib(scheduler.pid);
  const { heapMib, buffersMib } = await inspector.liveMemory();
  return {
    'live heap MiB': heapMib,
    'buffers MiB': buffersMib,
    'RSS MiB': rssMib(scheduler.pid),
    'RSS MiB, uncollected': used,
  };
}

function difference(after: Record<string, number>, before: Record<string, number>): Figures {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));
}

async function shares(inspector: Inspector, order: (order: LoadOrder) => Promise<unknown>): Promise<Finding[]> {
  const pace = { streams: STREAMS };
  let conversations = 0;
  const functions = await inspector.profile(async () => {
    const figures = await order({ kind: 'measure', target: 'scheduler', pace, warmUpMs: 0, windowMs: PROFILE_MS });
    conversations = (figures as { conversations: number }).conversations;
  });
  const parts = profileParts(functions);
  const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  return parts.map(({ part, seconds }) => ({
    subject: part,
    figures: { 'share %': (seconds / total) * 100, 'profiled µs each': (seconds / conversations) * 1e6 },
  }));
}
