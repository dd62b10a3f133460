import { DfError } from '@dragonfly/errors';

type Received = 'ReceivedEmpty' | 'ReceivedTiny' | 'ReceivedSmall' | 'ReceivedNormal';
export type PeerState = 'Pending' | Received | 'Running' | 'BackToSource' | 'Succeeded' | 'Failed' | 'Leave';
export type PeerEvent =
  | 'RegisterEmpty'
  | 'RegisterNormal'
  | 'Download'
  | 'DownloadBackToSource'
  | 'DownloadSucceeded'
  | 'DownloadFailed'
  | 'Leave';
export type TaskState = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Leave';
export type TaskEvent = 'Download' | 'DownloadSucceeded' | 'DownloadFailed' | 'Leave';

interface Transition<State> {
  readonly from: readonly State[];
  readonly to: State;
}

const RECEIVED: readonly Received[] = ['ReceivedEmpty', 'ReceivedTiny', 'ReceivedSmall', 'ReceivedNormal'];

/** What a peer may go through; anything else ends its stream. */
export const PEER_TRANSITIONS: Readonly<Record<PeerEvent, Transition<PeerState>>> = {
  RegisterEmpty: { from: ['Pending'], to: 'ReceivedEmpty' },
  RegisterNormal: { from: ['Pending'], to: 'ReceivedNormal' },
  Download: { from: RECEIVED, to: 'Running' },
  DownloadBackToSource: { from: [...RECEIVED, 'Running'], to: 'BackToSource' },
  DownloadSucceeded: { from: [...RECEIVED, 'Running', 'BackToSource'], to: 'Succeeded' },
  DownloadFailed: { from: ['Pending', ...RECEIVED, 'Running', 'BackToSource', 'Succeeded'], to: 'Failed' },
  Leave: { from: ['Pending', ...RECEIVED, 'Running', 'BackToSource', 'Succeeded', 'Failed'], to: 'Leave' },
};

export const TASK_TRANSITIONS: Readonly<Record<TaskEvent, Transition<TaskState>>> = {
  Download: { from: ['Pending', 'Succeeded', 'Failed', 'Leave'], to: 'Running' },
  DownloadSucceeded: { from: ['Leave', 'Running', 'Failed'], to: 'Succeeded' },
  DownloadFailed: { from: ['Running'], to: 'Failed' },
  Leave: { from: ['Pending', 'Running', 'Succeeded', 'Failed'], to: 'Leave' },
};

/** @throws DfError internal, in the words of the original */
export function nextState<State extends string, Event extends string>(
  transitions: Readonly<Record<Event, Transition<State>>>,
  state: State,
  event: Event,
): State {
  const { from, to } = transitions[event];
  if (from.includes(state)) return to;
  throw new DfError('internal', `event ${event} inappropriate in current state ${state}`);
}
