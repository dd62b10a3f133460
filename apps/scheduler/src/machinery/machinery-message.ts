import { DfError } from '@dragonfly/errors';

/** Longer messages are not read: a preheat of ten thousand URLs has less. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
const MAX_UUID_LENGTH = 256;

/** What one entry of a queue asks for. */
export interface MachineryMessage {
  /** Key of the task's record, `task_<uuid>`. */
  readonly uuid: string;
  readonly name: string;
  /** JSON text of the request; undefined for a job without one. */
  readonly argument: string | undefined;
}

/** A message that cannot be used; with a UUID it can at least be answered. */
export class BadMessageError extends DfError {
  constructor(
    message: string,
    readonly uuid: string | undefined,
    readonly jobName: string,
  ) {
    super('invalid-argument', message);
  }
}

/**
 * Reads the "signature" of machinery v1: JSON with UUID, Name and Args `[{Name, Type: "string", Value}]`; the other keys
 * (groups, retries, callbacks) mean nothing here.
 * @throws BadMessageError
 */
export function parseMessage(text: string): MachineryMessage {
  if (text.length > MAX_MESSAGE_BYTES) throw new BadMessageError('message is too long', undefined, '');
  const fields = parseObject(text);
  const { UUID: uuid, Name: name, Args: args } = fields ?? {};
  if (typeof uuid !== 'string' || uuid === '' || uuid.length > MAX_UUID_LENGTH) {
    throw new BadMessageError('message is no JSON object with a UUID', undefined, '');
  }
  if (typeof name !== 'string') throw new BadMessageError('message has no Name', uuid, '');
  if (args === null || args === undefined) return { uuid, name, argument: undefined };
  const value: unknown = Array.isArray(args) ? (args[0] as { Value?: unknown } | undefined)?.Value : null;
  if (value !== undefined && typeof value !== 'string') {
    throw new BadMessageError('Args[0].Value must be JSON text', uuid, name);
  }
  return { uuid, name, argument: value };
}

/** @returns undefined when the text is no JSON object */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // Said by the caller, which knows whose text it was.
  }
}
