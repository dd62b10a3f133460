import { z } from 'zod';

const mbit = z.number().positive().max(1e7);
const share = z.number().min(0).max(1);
const seconds = z.number().min(0).max(1e6);
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'must be lower-case letters, digits and dashes');

/** Rates are in megabits per second: 1 Mbit = 10^6 bit. */
const kind = z.strictObject({
  /** Weight among the kinds of hosts. */
  share: z.number().positive(),
  uploadMbit: mbit,
  downloadMbit: mbit,
  /** What it tells the scheduler it can send; absent = the truth, 0 = nothing. */
  announcedMbit: z.number().min(0).max(1e7).optional(),
  /** Part of the pieces it serves that are damaged; each is noticed by its checksum. */
  damagedPieces: share.default(0),
});

const arrivals = z.discriminatedUnion('kind', [
  /** Every host begins within so many seconds, uniformly. */
  z.strictObject({ kind: z.literal('burst'), withinSeconds: seconds }),
  /** Exponentially distributed times between two hosts. */
  z.strictObject({ kind: z.literal('poisson'), perSecond: z.number().positive() }),
  /** Lines `seconds,host,task` beside the scenario's file; hosts and tasks are numbers from 0 on. */
  z.strictObject({ kind: z.literal('trace'), file: z.string() }),
]);

export const scenarioSchema = z.strictObject({
  name,
  description: z.string(),
  content: z.strictObject({
    sizeMib: z.number().int().positive().max(1e6),
    pieceMib: z.number().int().min(1).max(1024).default(4),
    /** Contents, one after the other: every host downloads each. */
    tasks: z.number().int().min(1).max(1000).default(1),
    /** From the beginning of one to the beginning of the next. */
    everySeconds: seconds.default(0),
  }),
  origin: z.strictObject({ idc: name, uploadMbit: mbit }),
  idcs: z
    .array(
      z.strictObject({
        name,
        racks: z.number().int().min(1).max(1000),
        hostsPerRack: z.number().int().min(1).max(1000),
        /** Each way between the rack and the others of its data centre. */
        rackMbit: mbit,
        /** Each way between the data centre and all others. */
        wanMbit: mbit,
      }),
    )
    .min(1)
    .max(20),
  seeds: z
    .array(
      z.strictObject({
        idc: name,
        count: z.number().int().min(1).max(100).default(1),
        uploadMbit: mbit,
        downloadMbit: mbit,
      }),
    )
    .default([]),
  hosts: z.array(kind).min(1),
  /** Round trips in milliseconds. */
  latencyMs: z
    .strictObject({
      rack: z.number().min(0).default(0.2),
      idc: z.number().min(0).default(0.5),
      wan: z.number().min(0).default(20),
      scheduler: z.number().min(0).default(2),
    })
    .prefault({}),
  arrivals,
  churn: z
    .strictObject({
      /** Part of the hosts that crash once. */
      share,
      /** When, uniformly. */
      withinSeconds: seconds,
      /** How long they are away; then they go on with what they have. */
      awaySeconds: seconds,
    })
    .optional(),
  scheduler: z
    .strictObject({
      candidateParentLimit: z.number().int().min(1).max(20).default(3),
      filterParentLimit: z.number().int().min(10).max(1000).default(15),
    })
    .prefault({}),
  /** Pieces that a download keeps on the way at once. */
  concurrentPieces: z.number().int().min(1).max(64).default(8),
  /**
   * Pieces are taken back from a parent that sends no byte for so long, and given to others that have them; 0 = never, as
   * daemons of the original that wait for a piece until it times out.
   */
  takeBackAfterSeconds: seconds.default(2),
  /** Downloads that have not ended by then count as failed. */
  deadlineSeconds: z.number().positive().max(1e6).default(3600),
});

export type Scenario = z.infer<typeof scenarioSchema>;
export type HostKind = Scenario['hosts'][number];
