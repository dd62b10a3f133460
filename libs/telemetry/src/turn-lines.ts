/** Where lines go. */
export interface LineDestination {
  write(lines: string): void;
}

/** Lines waiting beyond this are written without waiting for the end of the turn. */
const MAX_WAITING_CHARACTERS = 64 * 1024;
/** Begins every line of ours: the level stands first. */
const LEVEL_PREFIX = '{"level":"';
const MAY_WAIT = ['info', 'debug', 'trace'].map((level) => `${LEVEL_PREFIX}${level}"`);

/** Those that have lines waiting, for the end of the process. */
const waiting = new Set<TurnLines>();
let isWatchingExit = false;

/**
 * Writes the lines of one turn of the event loop together: a service that finishes a hundred downloads in a turn makes
 * one system call for them, not a hundred. Warnings and errors go out at once, with what was waiting before them. Nothing
 * waits longer than its turn, and a process that ends by itself, on a signal it handles or by an uncaught error, writes
 * what is left.
 */
export class TurnLines implements LineDestination {
  #lines: string[] = [];
  #characters = 0;
  #turn: NodeJS.Immediate | undefined;

  constructor(private readonly destination: LineDestination) {
    if (isWatchingExit) return;
    isWatchingExit = true;
    process.on('exit', () => {
      for (const lines of waiting) lines.flush();
    });
  }

  /** @param line JSON with its end */
  write(line: string): void {
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#characters > MAX_WAITING_CHARACTERS || !MAY_WAIT.some((start) => line.startsWith(start))) {
      this.flush();
      return;
    }
    if (this.#turn !== undefined) return;
    waiting.add(this);
    this.#turn = setImmediate(() => {
      this.flush();
    });
  }

  /** Writes what waits now. */
  flush(): void {
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#turn = undefined;
    waiting.delete(this);
    if (this.#lines.length === 0) return;
    const text = this.#lines.length === 1 ? (this.#lines[0] ?? '') : this.#lines.join('');
    this.#lines = [];
    this.#characters = 0;
    this.destination.write(text);
  }
}
