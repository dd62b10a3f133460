import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RECORDED_DIRECTORY } from '../recording/recorded-files.js';
import { parseSession, type Headers, type SessionEvent, type Side } from '../recording/session.js';

export type RecordingName = 'manager' | 'scheduler' | 'parent' | 'dfget';

/** The recorded exchanges of one kind, in their order. */
export function recording(name: RecordingName): SessionEvent[] {
  return parseSession(readFileSync(path.join(RECORDED_DIRECTORY, `${name}.session`), 'utf8'));
}

/** Of all events those of some methods; the numbers of calls stay. */
export function callsTo(events: readonly SessionEvent[], ...methods: readonly string[]): SessionEvent[] {
  const calls = new Set(
    events.flatMap((event) =>
      event.type === 'open' && methods.includes(event.path.split('/').at(-1) ?? '') ? [event.call] : [],
    ),
  );
  return events.filter(({ call }) => calls.has(call));
}

/** Messages, or frames, that one side sent in a call. */
export function bytesOf(events: readonly SessionEvent[], call: number, side: Side): Buffer[] {
  return events.flatMap((event) =>
    (event.type === 'message' || event.type === 'frame') && event.call === call && event.side === side
      ? [event.bytes]
      : [],
  );
}

/** What the server said last in a call: also of an answer that is trailers only. */
export function trailersOf(events: readonly SessionEvent[], call: number): Headers {
  const found = events.find((event) => event.type === 'trailers' && event.call === call);
  if (found?.type !== 'trailers') throw new Error(`call ${call} has no trailers`);
  return found.headers;
}

/** Number of the first call to a method after the first `skip` ones. */
export function callNumber(events: readonly SessionEvent[], method: string, skip = 0): number {
  const opened = events.filter((event) => event.type === 'open' && event.path.endsWith(`/${method}`));
  const event = opened[skip];
  if (event === undefined) throw new Error(`no call ${skip + 1} to ${method} is recorded`);
  return event.call;
}
