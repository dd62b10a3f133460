import { DfError } from '@dragonfly/errors';

/**
 * A state machine as a table: for every state the events that are legal in it and the state they lead to. An event that
 * has no entry is illegal in that state.
 */
export type TransitionTable<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/**
 * The state that `event` leads to.
 *
 * @param id what the machine belongs to; only for the error text
 * @throws DfError `internal` when the event is illegal in that state, naming state, event and id
 */
export function nextState<State extends string, Event extends string>(
  table: TransitionTable<State, Event>,
  state: State,
  event: Event,
  id: string,
): State {
  const next = table[state][event];
  if (next === undefined) {
    throw new DfError('internal', `event ${event} inappropriate in current state ${state} of ${id}`, {
      details: { state, event, id },
    });
  }
  return next;
}

/** Whether `event` is legal in `state`. */
export function isLegal<State extends string, Event extends string>(
  table: TransitionTable<State, Event>,
  state: State,
  event: Event,
): boolean {
  return table[state][event] !== undefined;
}
