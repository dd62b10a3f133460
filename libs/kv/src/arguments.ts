import { DfError } from '@dragonfly/errors';
import { MAX_SCAN_KEYS } from './key-value-store.js';
import { MAX_MEMBERS, MAX_RECORDS } from './record-store.js';

/** Longest key, in UTF-16 units. */
const MAX_KEY_LENGTH = 1024;

/** @throws DfError `invalid-argument` */
export function checkKey(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
    throw new DfError('invalid-argument', `key: length must be 1 to ${MAX_KEY_LENGTH} characters, is ${key.length}`);
  }
}

/** @throws DfError `invalid-argument` */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs !== undefined && !(Number.isFinite(ttlMs) && ttlMs > 0)) {
    throw new DfError('invalid-argument', `ttlMs: must be a number above 0, is ${ttlMs}`);
  }
}

/** @throws DfError `invalid-argument` */
export function checkScanLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_SCAN_KEYS) {
    throw new DfError('invalid-argument', `limit: must be 1 to ${MAX_SCAN_KEYS}, is ${limit}`);
  }
}

/** @throws DfError `invalid-argument` */
export function checkIncrement(by: number): void {
  if (!Number.isSafeInteger(by)) {
    throw new DfError('invalid-argument', `by: must be an integer, is ${by}`);
  }
}

/** @throws DfError `invalid-argument` */
export function checkMemberLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_MEMBERS) {
    throw new DfError('invalid-argument', `limit: must be 1 to ${MAX_MEMBERS}, is ${limit}`);
  }
}

/** @throws DfError `invalid-argument` */
export function checkRecordCount(count: number): void {
  if (count > MAX_RECORDS) {
    throw new DfError('invalid-argument', `keys: must be at most ${MAX_RECORDS}, are ${count}`);
  }
}
