import { DfError } from '@dragonfly/errors';
import type { PubSub } from '@dragonfly/kv';

/** What can change. */
export const NEWS = ['config', 'applications', 'object-storage', 'certificates'] as const;
export type NewsKind = (typeof NEWS)[number];

export type NewsListener = (kind: NewsKind) => void;

const CHANNEL = 'manager:news';

/**
 * Tells every subscriber of every manager what has changed. At most once, like the messages underneath: news are a hint
 * to ask again, nothing is lost when one is missed but time until the next refresh.
 */
export class News {
  readonly #listeners = new Set<NewsListener>();
  #end: (() => Promise<void>) | undefined;

  constructor(
    private readonly pubSub: PubSub,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** @throws DfError when the store does not take the subscription */
  async start(): Promise<void> {
    this.#end = await this.pubSub.subscribe(CHANNEL, (message) => {
      const kind = NEWS.find((known) => known === message);
      // A newer manager may know more kinds than we do.
      if (kind !== undefined) this.#tell(kind);
    });
  }

  async stop(): Promise<void> {
    await this.#end?.();
    this.#listeners.clear();
  }

  /** To be called after the change is committed. Never fails: without the store only subscribers of this manager hear. */
  async publish(kind: NewsKind): Promise<void> {
    try {
      await this.pubSub.publish(CHANNEL, kind);
    } catch (error) {
      this.onError(error);
      this.#tell(kind);
    }
  }

  /** @returns how to end it; may be called more than once */
  subscribe(listener: NewsListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Listeners at present. */
  get size(): number {
    return this.#listeners.size;
  }

  #tell(kind: NewsKind): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(kind);
      } catch (error) {
        this.onError(DfError.from(error));
      }
    }
  }
}
