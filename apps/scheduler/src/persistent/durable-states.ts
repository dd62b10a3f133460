import type { TransitionTable } from '@dragonfly/scheduling';

// Persistent and persistent cache tasks are called durable together: their content is kept by peers on purpose, for a
// time to live, in a number of replicas.

/**
 * States of a peer of a durable task; the words stand on the wire and in the store as they are.
 *
 * | state | entered by |
 * |---|---|
 * | Pending | creation |
 * | Uploading | it brings the content in |
 * | ReceivedEmpty, ReceivedNormal | a registration that was accepted |
 * | Running | the report that it downloads, from parents or from the source |
 * | Succeeded, Failed | its last report, or the end of its stream without one |
 */
export type DurablePeerState =
  'Pending' | 'Uploading' | 'ReceivedEmpty' | 'ReceivedNormal' | 'Running' | 'Succeeded' | 'Failed';
export type DurablePeerEvent = 'Upload' | 'RegisterEmpty' | 'RegisterNormal' | 'Download' | 'Succeeded' | 'Failed';

const BEGINNINGS = { Upload: 'Uploading', RegisterEmpty: 'ReceivedEmpty', RegisterNormal: 'ReceivedNormal' } as const;

export const DURABLE_PEER_TRANSITIONS: TransitionTable<DurablePeerState, DurablePeerEvent> = {
  Pending: { ...BEGINNINGS, Failed: 'Failed' },
  Uploading: { Succeeded: 'Succeeded', Failed: 'Failed' },
  ReceivedEmpty: { Download: 'Running', Failed: 'Failed' },
  ReceivedNormal: { Download: 'Running', Failed: 'Failed' },
  Running: { Succeeded: 'Succeeded', Failed: 'Failed' },
  Succeeded: {},
  Failed: BEGINNINGS,
};

/** States of a durable task: it is what its upload has come to. */
export type DurableTaskState = 'Pending' | 'Uploading' | 'Succeeded' | 'Failed';
export type DurableTaskEvent = 'Upload' | 'Succeeded' | 'Failed';

export const DURABLE_TASK_TRANSITIONS: TransitionTable<DurableTaskState, DurableTaskEvent> = {
  Pending: { Upload: 'Uploading' },
  Uploading: { Succeeded: 'Succeeded', Failed: 'Failed' },
  Succeeded: {},
  Failed: { Upload: 'Uploading' },
};
