import type { SessionEvent } from '../recording/session.js';
import { commonServices } from '../services.js';
import { bytesOf, trailersOf } from './recordings.js';
import type { Replayed } from './replay.js';

/** Fields that say when and how long: different each time. */
const OF_THE_MOMENT = new Set(['cost', 'createdAt', 'updatedAt', 'uploadContent', 'date']);

/** What is compared of an answer. */
export interface Answer {
  readonly path: string;
  /** Code of the gRPC status. */
  readonly status: string;
  readonly messages: readonly unknown[];
}

/**
 * What was answered when it was recorded, decoded.
 * @param ofThePlace names of fields that differ with the place, such as addresses
 */
export function recordedAnswers(events: readonly SessionEvent[], ofThePlace: readonly string[] = []): Answer[] {
  return finished(events).map(({ call, path }) => ({
    path,
    status: trailersOf(events, call)['grpc-status'] ?? 'none',
    messages: bytesOf(events, call, '<').map((bytes) =>
      comparable(commonServices.decode(path, '<', bytes), ofThePlace),
    ),
  }));
}

/** The same of a replay. */
export function replayedAnswers(
  events: readonly SessionEvent[],
  replayed: Replayed,
  ofThePlace: readonly string[] = [],
): Answer[] {
  return finished(events).map(({ call, path }) => ({
    path,
    status: String(replayed.grpc.get(call)?.trailers.all[0]?.['grpc-status'] ?? 'none'),
    messages: (replayed.grpc.get(call)?.messages.all ?? []).map((bytes) =>
      comparable(commonServices.decode(path, '<', bytes), ofThePlace),
    ),
  }));
}

/** Calls that were answered to their end. */
function finished(events: readonly SessionEvent[]): { call: number; path: string }[] {
  const ended = new Set(events.flatMap((event) => (event.type === 'trailers' ? [event.call] : [])));
  return events.flatMap((event) =>
    event.type === 'open' && ended.has(event.call) ? [{ call: event.call, path: event.path }] : [],
  );
}

function comparable(value: unknown, ofThePlace: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => comparable(item, ofThePlace));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value;
  const entries = Object.entries(value).filter(
    ([key, field]) => field !== undefined && !OF_THE_MOMENT.has(key) && !ofThePlace.includes(key),
  );
  return Object.fromEntries(entries.map(([key, field]) => [key, comparable(field, ofThePlace)]));
}
