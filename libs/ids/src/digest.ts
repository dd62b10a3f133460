import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { IdError } from './id-error.js';

/** The digest algorithms that may stand in a request. */
export type DigestAlgorithm = 'crc32' | 'md5' | 'sha1' | 'sha256' | 'sha512' | 'blake3';

/** A parsed digest, `<algorithm>:<encoded>` in text. */
export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /**
   * Hex of either case with the algorithm's length. For crc32: hex in a blob URL, but the *decimal* number in a piece
   * digest; both are kept as written.
   */
  readonly encoded: string;
}

/** Length of the encoded part in characters; crc32 has none (at least one character). */
const ENCODED_LENGTHS: Readonly<Record<Exclude<DigestAlgorithm, 'crc32'>, number>> = {
  md5: 32,
  sha1: 40,
  sha256: 64,
  blake3: 64,
  sha512: 128,
};

const HEX = /^[0-9a-fA-F]+$/;
const CRC32_PIECE_DIGEST = /^crc32:(0|[1-9][0-9]{0,9})$/;

/** Longest text that is looked at; the longest legal digest is `sha512:` and 128 characters, a crc32 has no rule. */
const MAX_DIGEST_TEXT_LENGTH = 1024;

/**
 * Reads `<algorithm>:<encoded>`. Surrounding spaces are dropped; the algorithm is lower case, the encoded part hex of
 * either case and of the algorithm's length (crc32: any length from 1).
 *
 * @throws IdError `invalid-digest`, with the rule that is broken
 */
export function parseDigest(text: string): Digest {
  if (text.length > MAX_DIGEST_TEXT_LENGTH) {
    throw new IdError('invalid-digest', `digest is longer than ${MAX_DIGEST_TEXT_LENGTH} characters`);
  }
  const trimmed = text.trim();
  const colon = trimmed.indexOf(':');
  if (colon < 0 || trimmed.indexOf(':', colon + 1) >= 0) {
    throw new IdError('invalid-digest', `digest "${text}" is not of the form algorithm:encoded`);
  }
  const algorithm = trimmed.slice(0, colon);
  const encoded = trimmed.slice(colon + 1);
  if (!isDigestAlgorithm(algorithm)) {
    throw new IdError(
      'invalid-digest',
      `digest "${text}" has an unknown algorithm; known: crc32, md5, sha1, sha256, sha512, blake3`,
    );
  }
  if (algorithm !== 'crc32' && encoded.length !== ENCODED_LENGTHS[algorithm]) {
    throw new IdError(
      'invalid-digest',
      `digest "${text}" must have ${ENCODED_LENGTHS[algorithm]} characters after "${algorithm}:", not ${encoded.length}`,
    );
  }
  if (!HEX.test(encoded)) {
    throw new IdError('invalid-digest', `digest "${text}" must be hex after "${algorithm}:"`);
  }
  return { algorithm, encoded };
}

/** Like {@link parseDigest}, for input where a wrong digest is expected: `undefined` in place of an error. */
export function tryParseDigest(text: string): Digest | undefined {
  try {
    return parseDigest(text);
  } catch (error) {
    if (error instanceof IdError) return undefined;
    throw error;
  }
}

/** The text form of a digest. */
export function formatDigest(digest: Digest): string {
  return `${digest.algorithm}:${digest.encoded}`;
}

/** True when both name the same value: hex is compared without regard to case. */
export function digestsEqual(left: Digest, right: Digest): boolean {
  return left.algorithm === right.algorithm && left.encoded.toLowerCase() === right.encoded.toLowerCase();
}

/**
 * The digest of a piece as it stands in piece metadata: `crc32:` and the CRC-32 (IEEE) of its bytes in **decimal**.
 *
 * @param value the unsigned 32-bit checksum
 */
export function crc32Digest(value: number): string {
  return `crc32:${value >>> 0}`;
}

/** The checksum in a piece digest `crc32:<decimal>`, or `undefined` when the text is none. */
export function crc32OfDigest(text: string): number | undefined {
  const match = CRC32_PIECE_DIGEST.exec(text);
  if (match === null) return undefined;
  const value = Number(match[1]);
  return value <= 0xffffffff ? value : undefined;
}

/** Collects bytes and gives their digest. */
export interface DigestHasher {
  update(chunk: Uint8Array): void;
  /** Call once, at the end. Hex in lower case; crc32 in decimal, as the real client writes it for files. */
  finish(): Digest;
}

/** The algorithms that {@link createDigestHasher} computes. */
export type ComputableAlgorithm = Exclude<DigestAlgorithm, 'blake3'>;

/** True for the algorithms that this program can verify; blake3 parses but is not computed. */
export function isComputable(algorithm: DigestAlgorithm): algorithm is ComputableAlgorithm {
  return algorithm !== 'blake3';
}

/**
 * Starts a digest over bytes fed piece by piece. Synchronous and CPU bound (sha256 about 3 CPU seconds a GiB without
 * SHA extensions): whole files belong in a worker thread.
 */
export function createDigestHasher(algorithm: ComputableAlgorithm): DigestHasher {
  if (algorithm === 'crc32') {
    let value = 0;
    return {
      update: (chunk) => {
        value = crc32(chunk, value);
      },
      finish: () => ({ algorithm, encoded: String(value) }),
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (chunk) => {
      hash.update(chunk);
    },
    finish: () => ({ algorithm, encoded: hash.digest('hex') }),
  };
}

/**
 * True when `actual` (from {@link createDigestHasher}) is what `expected` (from a user) asks for. A crc32 may be
 * written in decimal or as 8 hex characters.
 */
export function digestMatches(expected: Digest, actual: Digest): boolean {
  if (digestsEqual(expected, actual)) return true;
  if (expected.algorithm !== 'crc32' || actual.algorithm !== 'crc32') return false;
  return expected.encoded.length === 8 && Number.parseInt(expected.encoded, 16) === Number(actual.encoded);
}

function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return text === 'crc32' || Object.hasOwn(ENCODED_LENGTHS, text);
}
