import { Host, Peer, Task } from '../gen/common/v2/common.js';
import type { AnnouncePeerResponse } from '../gen/scheduler/v2/scheduler.js';
import { encodeMessage } from '../serialize.js';

/*
 * An answer names three parents, and most of its bytes say what their hosts have announced and what the task is. Hosts
 * are encoded once for each announcement, the task once for each answer.
 */

/** Number of the field and 2 for "length, then so many bytes". */
const TAG = { normalTask: 0x12, candidateParent: 0x0a, task: 0x3a, host: 0x42 } as const;

/** Fields `host` of a Peer by the object they were made of, which nobody changes. */
const hostFields = new WeakMap<Host, Uint8Array>();

/**
 * Encodes an answer that names parents. The objects of hosts must not be changed afterwards.
 * @param response complete, as `fromPartial` makes it
 * @returns the message, its fields in another order than the generated encoder's; undefined for any other answer
 */
export function encodeCandidateParents({ response }: AnnouncePeerResponse): Buffer | undefined {
  if (response?.$case !== 'normalTaskResponse') return undefined;
  const parts: Uint8Array[] = [];
  const lengths: number[] = [];
  let task: Task | undefined;
  let taskField: Uint8Array = EMPTY;
  let total = 0;
  for (const parent of response.value.candidateParents) {
    if (parent.task !== task) {
      task = parent.task;
      taskField = task === undefined ? EMPTY : field(TAG.task, encodeMessage(Task, task));
    }
    const own = encodeMessage(Peer, { ...parent, task: undefined, host: undefined });
    const host = parent.host === undefined ? EMPTY : hostField(parent.host);
    parts.push(own, taskField, host);
    const length = own.length + taskField.length + host.length;
    lengths.push(length);
    total += 1 + varintBytes(length) + length;
  }
  const message = Buffer.allocUnsafe(1 + varintBytes(total) + total);
  let position = header(message, 0, TAG.normalTask, total);
  for (const [index, length] of lengths.entries()) {
    position = header(message, position, TAG.candidateParent, length);
    for (let part = index * 3; part < index * 3 + 3; part += 1) {
      const bytes = parts[part] ?? EMPTY;
      message.set(bytes, position);
      position += bytes.length;
    }
  }
  return message;
}

const EMPTY = new Uint8Array(0);

function hostField(host: Host): Uint8Array {
  let bytes = hostFields.get(host);
  if (bytes === undefined) {
    bytes = field(TAG.host, encodeMessage(Host, host));
    hostFields.set(host, bytes);
  }
  return bytes;
}

function field(tag: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + varintBytes(value.length) + value.length);
  bytes.set(value, header(bytes, 0, tag, value.length));
  return bytes;
}

/** Writes tag and length. @returns the place behind them */
function header(bytes: Uint8Array, start: number, tag: number, length: number): number {
  let position = start;
  bytes[position] = tag;
  position += 1;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) {
    bytes[position] = (rest & 0x7f) | 0x80;
    position += 1;
  }
  bytes[position] = rest;
  return position + 1;
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) count += 1;
  return count;
}
