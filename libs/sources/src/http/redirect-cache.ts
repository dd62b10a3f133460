import { createHash } from 'node:crypto';

/** Oldest out first; an entry is a URL or two. */
const MAX_ENTRIES = 1000;

/** Where a chain of redirects led. */
export interface RedirectTarget {
  readonly url: URL;
  /** The chain left the origin: the caller's credentials do not go along. */
  readonly leavesOrigin: boolean;
}

/**
 * Remembers temporary redirects for a while. A large content is read in many parts, and a hub that sends each of them
 * to a signed address of its storage would be asked for every one.
 *
 * The caller's credentials are part of the key: an address signed for one user is never used for another.
 */
export class RedirectCache {
  readonly #ttlMs: number;
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, RedirectTarget & { readonly expiresAtMs: number }>();

  /** @param ttlMs 0 = remember nothing */
  constructor(ttlMs: number, nowMs: () => number = Date.now) {
    this.#ttlMs = ttlMs;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): RedirectTarget | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAtMs > this.#nowMs()) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, target: RedirectTarget): void {
    if (this.#ttlMs <= 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, { ...target, expiresAtMs: this.#nowMs() + this.#ttlMs });
    const oldest = this.#entries.keys().next().value;
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}

/** A signed address is often good for one method only, and for one caller. */
export function redirectKey(method: string, url: URL, headers: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256');
  for (const name of ['authorization', 'cookie', 'host']) hash.update(`${name}\0${headers.get(name) ?? ''}\0`);
  return `${method} ${url.href} ${hash.digest('base64')}`;
}
