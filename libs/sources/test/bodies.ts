import type { SourceBody } from '../src/source-backend.js';

/** Reads a body to its end in steps of `stepBytes`. */
export async function readAll(body: SourceBody, stepBytes = 64 << 10): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(stepBytes);
    const bytes = await body.readInto(buffer);
    if (bytes === 0) return Buffer.concat(parts);
    parts.push(buffer.subarray(0, bytes));
  }
}
