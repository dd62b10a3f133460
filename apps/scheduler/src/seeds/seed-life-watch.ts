import { setTimeout as delay } from 'node:timers/promises';
import type { SeedProbe } from './seed-probe.js';

/** A seed that says nothing for so long is asked whether it lives. */
const SILENCE_MS = 3000;
/** The first time sooner: one that stood still before it was triggered has nothing under way that it might be busy with. */
const FIRST_SILENCE_MS = 500;
/** Answers that must be missing one after the other: one may be late on a busy machine. */
const MAX_MISSING_ANSWERS = 2;

/**
 * Watches a seed that works on a trigger. One that was stopped or unplugged closes no connection: without this the peers that
 * wait for it would wait out their whole patience. A slow origin is no reason to give a seed up, so its health decides.
 */
export class SeedLifeWatch {
  private readonly stopped = new AbortController();
  private hasSpoken = false;

  /**
   * @param onDead called once when the seed neither says anything nor answers
   * @param silenceMs @default 3000
   */
  constructor(
    private readonly probe: SeedProbe,
    private readonly address: string,
    private readonly onDead: () => void,
    private readonly silenceMs: number = SILENCE_MS,
  ) {
    void this.run(this.stopped.signal);
  }

  /** It said something. */
  heard(): void {
    this.hasSpoken = true;
  }

  stop(): void {
    this.stopped.abort();
  }

  private async run(signal: AbortSignal): Promise<void> {
    let missing = 0;
    let silenceMs = Math.min(FIRST_SILENCE_MS, this.silenceMs);
    while (missing < MAX_MISSING_ANSWERS) {
      this.hasSpoken = false;
      // After a missing answer it is asked again at once: the probe itself has waited.
      if (missing === 0) await delay(silenceMs, undefined, { signal, ref: false }).catch(() => undefined);
      silenceMs = this.silenceMs;
      if (signal.aborted) return;
      const isAlive = this.hasSpoken || (await this.probe.isServing(this.address, signal));
      if (signal.aborted) return;
      missing = isAlive || this.hasSpoken ? 0 : missing + 1;
    }
    this.onDead();
  }
}
