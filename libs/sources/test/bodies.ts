import { setImmediate } from 'node:timers/promises';
import type { SourceBody } from '../src/source-backend.js';

/**
 * Reads a body to its end in steps of `stepBytes`.
 * @param pauseTurns of the event loop between two steps
 */
export async function readAll(body: SourceBody, stepBytes = 64 << 10, pauseTurns = 0): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(stepBytes);
    const bytes = await body.readInto(buffer);
    if (bytes === 0) return Buffer.concat(parts);
    parts.push(buffer.subarray(0, bytes));
    await pause(pauseTurns);
  }
}

/**
 * The same by a receiver.
 * @param pauseTurns of the event loop after each full buffer, for which there is no room
 * @param limitBytes how many it wants
 */
export async function pourAll(
  body: SourceBody,
  stepBytes: number,
  pauseTurns: number,
  limitBytes = Infinity,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let current = Buffer.alloc(stepBytes);
  let filled = 0;
  let total = 0;
  await body.pour({
    nextBuffer: () => {
      if (total === limitBytes) return undefined;
      if (filled < stepBytes) return current.subarray(filled, filled + limitBytes - total);
      parts.push(current);
      current = Buffer.alloc(stepBytes);
      filled = 0;
      return pause(pauseTurns);
    },
    received: (bytes) => {
      filled += bytes;
      total += bytes;
    },
  });
  return Buffer.concat([...parts, current.subarray(0, filled)]);
}

async function pause(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await setImmediate();
}
