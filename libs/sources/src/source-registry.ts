import { DfError } from '@dragonfly/errors';
import type { SourceBackend } from './source-backend.js';

/** Finds the adapter for a URL. */
export class SourceRegistry {
  readonly #backends = new Map<string, SourceBackend>();

  /** A later registration of the same scheme takes its place. */
  register(backend: SourceBackend): void {
    for (const scheme of backend.schemes) this.#backends.set(scheme, backend);
  }

  get schemes(): string[] {
    return [...this.#backends.keys()].sort();
  }

  /** @throws DfError `invalid-argument` for something that is no URL or has a scheme nobody serves */
  get(url: string): SourceBackend {
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
    if (scheme === undefined) {
      throw new DfError('invalid-argument', `url ${JSON.stringify(url.slice(0, 200))}: must begin with a scheme`);
    }
    const backend = this.#backends.get(scheme);
    if (backend !== undefined) return backend;
    throw new DfError('invalid-argument', `url scheme "${scheme}": must be one of ${this.schemes.join(', ')}`);
  }

  async close(): Promise<void> {
    await Promise.all([...new Set(this.#backends.values())].map((backend) => backend.close()));
  }
}
