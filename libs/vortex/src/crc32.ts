import { createRequire } from 'node:module';
import { crc32 as builtIn } from 'node:zlib';

type Crc32 = (data: Uint8Array, previous?: number) => number;

const { implementation, name } = choose();

/** Which implementation runs, for logs and benchmarks. */
export const crc32Implementation: '@node-rs/crc32' | 'node:zlib' = name;

/**
 * CRC-32 (IEEE), the checksum of pieces. Runs on the calling thread: a round trip to a worker costs as much as 4 MiB of
 * it.
 *
 * Uses the prebuilt native package where it loads (about 14 GiB a CPU second), else Node's own (about 2.8 GiB).
 * @param previous checksum of the bytes before, to go on with. @default 0
 * @returns an unsigned 32-bit number
 */
export function crc32(data: Uint8Array, previous = 0): number {
  return implementation(data, previous) >>> 0;
}

function choose(): { implementation: Crc32; name: '@node-rs/crc32' | 'node:zlib' } {
  try {
    // Loaded by hand: the package has one binary for each platform and throws where it has none.
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32: Crc32 };
    return { implementation: native.crc32, name: '@node-rs/crc32' };
  } catch {
    // No binary for this platform; the built-in one gives the same result, slower.
    return { implementation: builtIn, name: 'node:zlib' };
  }
}
