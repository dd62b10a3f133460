import type { TransitionTable } from './transitions.js';

/**
 * States of a standard peer; the words stand on the wire as they are.
 *
 * | state | entered by |
 * |---|---|
 * | Pending | creation |
 * | ReceivedEmpty, ReceivedTiny, ReceivedSmall, ReceivedNormal | a registration that was accepted |
 * | Running | the first report that it downloads from parents |
 * | BackToSource | the report that it downloads from the source |
 * | Succeeded, Failed | its last report |
 * | Leave | garbage collection; it is deleted at the next run |
 */
export const PEER_STATES = [
  'Pending',
  'ReceivedEmpty',
  'ReceivedTiny',
  'ReceivedSmall',
  'ReceivedNormal',
  'Running',
  'BackToSource',
  'Succeeded',
  'Failed',
  'Leave',
] as const;
export type PeerState = (typeof PEER_STATES)[number];

/** What happens to a peer: its reports, and the scheduler letting it go. */
export const PEER_EVENTS = [
  'RegisterEmpty',
  'RegisterTiny',
  'RegisterSmall',
  'RegisterNormal',
  'Download',
  'DownloadBackToSource',
  'DownloadSucceeded',
  'DownloadFailed',
  'Leave',
] as const;
export type PeerEvent = (typeof PEER_EVENTS)[number];

const AFTER_REGISTRATION = {
  Download: 'Running',
  DownloadBackToSource: 'BackToSource',
  DownloadSucceeded: 'Succeeded',
  DownloadFailed: 'Failed',
  Leave: 'Leave',
} as const;

/** The state after each event; an event that a row lacks is illegal in that state. */
export const PEER_TRANSITIONS: TransitionTable<PeerState, PeerEvent> = {
  Pending: {
    RegisterEmpty: 'ReceivedEmpty',
    RegisterTiny: 'ReceivedTiny',
    RegisterSmall: 'ReceivedSmall',
    RegisterNormal: 'ReceivedNormal',
    DownloadFailed: 'Failed',
    Leave: 'Leave',
  },
  ReceivedEmpty: AFTER_REGISTRATION,
  ReceivedTiny: AFTER_REGISTRATION,
  ReceivedSmall: AFTER_REGISTRATION,
  ReceivedNormal: AFTER_REGISTRATION,
  Running: {
    DownloadBackToSource: 'BackToSource',
    DownloadSucceeded: 'Succeeded',
    DownloadFailed: 'Failed',
    Leave: 'Leave',
  },
  BackToSource: { DownloadSucceeded: 'Succeeded', DownloadFailed: 'Failed', Leave: 'Leave' },
  Succeeded: { DownloadFailed: 'Failed', Leave: 'Leave' },
  Failed: { Leave: 'Leave' },
  Leave: {},
};

/** States of a standard task; the words stand on the wire as they are. */
export const TASK_STATES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Leave'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** What happens to a task, through its peers. */
export const TASK_EVENTS = ['Download', 'DownloadSucceeded', 'DownloadFailed', 'Leave'] as const;
export type TaskEvent = (typeof TASK_EVENTS)[number];

/** The state after each event; an event that a row lacks is illegal in that state. */
export const TASK_TRANSITIONS: TransitionTable<TaskState, TaskEvent> = {
  Pending: { Download: 'Running', Leave: 'Leave' },
  Running: { DownloadSucceeded: 'Succeeded', DownloadFailed: 'Failed', Leave: 'Leave' },
  Succeeded: { Download: 'Running', Leave: 'Leave' },
  Failed: { Download: 'Running', DownloadSucceeded: 'Succeeded', Leave: 'Leave' },
  Leave: { Download: 'Running', DownloadSucceeded: 'Succeeded' },
};
