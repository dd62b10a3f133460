import { progressLine } from './progress-line.js';

/** Time between two drawings. */
const DRAW_INTERVAL_MS = 100;
/** A download that ends within this time shows no bar. */
const SHOW_AFTER_MS = 300;
/** Span of time the rate is taken over. */
const RATE_WINDOW_MS = 4_000;
/** Back to the first column, and clear what stood there. */
const CLEAR_LINE = '\r\x1b[K';

/** The terminal a bar is drawn on. */
export interface BarTerminal {
  write(text: string): void;
  /** Asked at each drawing: windows change. */
  columns(): number;
  nowMs(): number;
}

export interface ProgressBarOptions {
  readonly label: string;
  /** Draw at once instead of after a moment. */
  readonly isShownAtOnce: boolean;
  /** Keep the last line when the download is complete; otherwise it is wiped. */
  readonly isKept: boolean;
}

interface Sample {
  readonly atMs: number;
  readonly completedBytes: number;
}

/** A progress bar on one line of a terminal. Draws by a timer, so that it moves while nothing arrives. */
export class ProgressBar {
  readonly #startedAtMs: number;
  /** At most {@link RATE_WINDOW_MS} of them, one per drawing. */
  readonly #samples: Sample[] = [];
  #completedBytes = 0;
  #totalBytes: number | null = null;
  #isDrawn = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly terminal: BarTerminal,
    private readonly options: ProgressBarOptions,
  ) {
    this.#startedAtMs = terminal.nowMs();
    this.#timer = setInterval(() => this.draw(), DRAW_INTERVAL_MS);
    this.#timer.unref();
  }

  update(completedBytes: number, totalBytes: number | null): void {
    this.#completedBytes = completedBytes;
    this.#totalBytes = totalBytes;
  }

  /** Draws the line as it is now; called by the timer. */
  draw(): void {
    const now = this.terminal.nowMs();
    const elapsedMs = now - this.#startedAtMs;
    this.#sample(now);
    if (!this.#isDrawn && !this.options.isShownAtOnce && elapsedMs < SHOW_AFTER_MS) return;
    this.#isDrawn = true;
    this.#write(this.#rate(), elapsedMs);
  }

  /** Wipes the line for something else to be written; the next drawing brings it back. */
  clear(): void {
    if (this.#isDrawn) this.terminal.write(CLEAR_LINE);
  }

  /** The download is complete. */
  succeed(totalBytes: number): void {
    this.#stop();
    if (!this.options.isKept) {
      this.clear();
      return;
    }
    this.update(totalBytes, totalBytes);
    const elapsedMs = Math.max(1, this.terminal.nowMs() - this.#startedAtMs);
    this.#write((totalBytes * 1000) / elapsedMs, elapsedMs);
    this.terminal.write('\n');
  }

  /** The download failed; the line is wiped. */
  fail(): void {
    this.#stop();
    this.clear();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #write(bytesPerSecond: number | undefined, elapsedMs: number): void {
    const line = progressLine(
      {
        label: this.options.label,
        completedBytes: this.#completedBytes,
        totalBytes: this.#totalBytes,
        bytesPerSecond,
        elapsedMs,
      },
      this.terminal.columns(),
    );
    this.terminal.write(CLEAR_LINE + line);
  }

  #sample(now: number): void {
    this.#samples.push({ atMs: now, completedBytes: this.#completedBytes });
    while ((this.#samples[0]?.atMs ?? now) < now - RATE_WINDOW_MS) this.#samples.shift();
  }

  #rate(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs - first.atMs < DRAW_INTERVAL_MS) return undefined;
    // A restart by another way (fallback) begins at zero again.
    return Math.max(0, ((last.completedBytes - first.completedBytes) * 1000) / (last.atMs - first.atMs));
  }
}
