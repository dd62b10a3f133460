import type { SchedulerCore } from '@dragonfly/scheduler/embedded';
import type { Topology } from '../network/topology.js';
import type { Random } from '../random.js';
import type { Scenario } from '../scenario/schema.js';
import type { EventQueue } from '../time/event-queue.js';
import type { SimulatedHost } from './simulated-host.js';

/** A content that is distributed. */
export interface Content {
  readonly number: number;
  readonly taskId: string;
  readonly url: string;
  readonly sizeBytes: number;
  readonly pieceBytes: number;
  readonly pieceCount: number;
}

/** What goes over which kind of wire, in bytes. */
export interface Traffic {
  fromSource: number;
  fromSeeds: number;
  fromPeers: number;
  betweenIdcs: number;
  /** Arrived damaged, or was under way when its parent was given up. */
  wasted: number;
}

/** What the daemons of one run share. */
export interface World {
  readonly scenario: Scenario;
  readonly queue: EventQueue;
  readonly topology: Topology;
  readonly random: Random;
  readonly hostsById: ReadonlyMap<string, SimulatedHost>;
  readonly core: SchedulerCore;
  readonly traffic: Traffic;
  readonly counts: { answers: number };
  /** Runs the scheduler's code; its time is measured. */
  readonly inScheduler: <T>(run: () => T) => T;
  readonly nextPeerId: (host: SimulatedHost) => string;
}
