import { DfError } from '@dragonfly/errors';
import {
  PEER_EVENTS,
  PEER_STATES,
  PEER_TRANSITIONS,
  type PeerEvent,
  type PeerState,
  TASK_EVENTS,
  TASK_STATES,
  TASK_TRANSITIONS,
  type TaskEvent,
  type TaskState,
} from './states.js';
import { isLegal, nextState } from './transitions.js';

/** The original's tables: event, states it is legal in, state it leads to. */
const RECEIVED: PeerState[] = ['ReceivedEmpty', 'ReceivedTiny', 'ReceivedSmall', 'ReceivedNormal'];
const PEER_RULES: Record<PeerEvent, { from: PeerState[]; to: PeerState }> = {
  RegisterEmpty: { from: ['Pending'], to: 'ReceivedEmpty' },
  RegisterTiny: { from: ['Pending'], to: 'ReceivedTiny' },
  RegisterSmall: { from: ['Pending'], to: 'ReceivedSmall' },
  RegisterNormal: { from: ['Pending'], to: 'ReceivedNormal' },
  Download: { from: RECEIVED, to: 'Running' },
  DownloadBackToSource: { from: [...RECEIVED, 'Running'], to: 'BackToSource' },
  DownloadSucceeded: { from: [...RECEIVED, 'Running', 'BackToSource'], to: 'Succeeded' },
  DownloadFailed: { from: ['Pending', ...RECEIVED, 'Running', 'BackToSource', 'Succeeded'], to: 'Failed' },
  Leave: { from: PEER_STATES.filter((state) => state !== 'Leave'), to: 'Leave' },
};
const TASK_RULES: Record<TaskEvent, { from: TaskState[]; to: TaskState }> = {
  Download: { from: ['Pending', 'Succeeded', 'Failed', 'Leave'], to: 'Running' },
  DownloadSucceeded: { from: ['Leave', 'Running', 'Failed'], to: 'Succeeded' },
  DownloadFailed: { from: ['Running'], to: 'Failed' },
  Leave: { from: ['Pending', 'Running', 'Succeeded', 'Failed'], to: 'Leave' },
};

describe('peer states', () => {
  const pairs = PEER_STATES.flatMap((state) => PEER_EVENTS.map((event) => [state, event] as const));

  it.each(pairs)('in %s the event %s does what the table says', (state, event) => {
    const rule = PEER_RULES[event];
    const isExpected = rule.from.includes(state);
    expect(isLegal(PEER_TRANSITIONS, state, event)).toBe(isExpected);
    if (isExpected) {
      expect(nextState(PEER_TRANSITIONS, state, event, 'peer x')).toBe(rule.to);
    } else {
      expect(() => nextState(PEER_TRANSITIONS, state, event, 'peer x')).toThrow(
        `event ${event} inappropriate in current state ${state} of peer x`,
      );
    }
  });
});

describe('task states', () => {
  const pairs = TASK_STATES.flatMap((state) => TASK_EVENTS.map((event) => [state, event] as const));

  it.each(pairs)('in %s the event %s does what the table says', (state, event) => {
    const rule = TASK_RULES[event];
    const isExpected = rule.from.includes(state);
    expect(isLegal(TASK_TRANSITIONS, state, event)).toBe(isExpected);
    if (isExpected) expect(nextState(TASK_TRANSITIONS, state, event, 'task x')).toBe(rule.to);
    else expect(() => nextState(TASK_TRANSITIONS, state, event, 'task x')).toThrow(DfError);
  });
});

it('an illegal event is an internal error that carries state, event and id', () => {
  let caught: unknown;
  try {
    nextState(PEER_TRANSITIONS, 'Failed', 'Download', 'peer p');
  } catch (error) {
    caught = error;
  }
  expect(caught).toMatchObject({ code: 'internal', details: { state: 'Failed', event: 'Download', id: 'peer p' } });
});
