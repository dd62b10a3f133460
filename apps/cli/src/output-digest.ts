import { createReadStream } from 'node:fs';
import { createDigestHasher, digestMatches, formatDigest, isComputable, parseDigest } from '@dragonfly/ids';
import { DfError } from '@dragonfly/errors';

/** Large enough that the hash, not the reading, is what takes the time. */
const READ_BYTES = 1024 * 1024;

/**
 * Checks a file against the digest a user gave.
 * @param digest `algorithm:encoded`
 * @throws DfError `data-loss` with both digests when they differ
 */
export async function checkDigest(file: string, digest: string, signal: AbortSignal): Promise<void> {
  const expected = parseDigest(digest);
  if (!isComputable(expected.algorithm)) {
    throw new DfError('unimplemented', `--digest: ${expected.algorithm} cannot be computed here`);
  }
  const hasher = createDigestHasher(expected.algorithm);
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES, signal })) {
    hasher.update(chunk as Buffer);
  }
  const actual = hasher.finish();
  if (!digestMatches(expected, actual)) {
    throw new DfError('data-loss', `the digest does not match: expected ${digest}, got ${formatDigest(actual)}`);
  }
}
