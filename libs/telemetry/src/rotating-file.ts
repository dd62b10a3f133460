import { closeSync, existsSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

export interface RotationLimits {
  /** A file that would grow beyond this is put aside, as `<file>.1`, and a new one is begun. */
  readonly maxFileBytes: number;
  /** Files kept, the one being written among them; the oldest goes. At least 1. */
  readonly maxFiles: number;
}

/**
 * A log file that cannot fill the disk. Lines are written at once, so that a crash loses none; a line that cannot be
 * written (no space, say) is left out and counted, because a service must not end for its log.
 */
export class RotatingFile {
  #descriptor: number;
  #sizeBytes: number;
  #lostLines = 0;

  /** @throws the system's error when the file cannot be opened */
  constructor(
    private readonly file: string,
    private readonly limits: RotationLimits,
  ) {
    mkdirSync(path.dirname(file), { recursive: true });
    this.#descriptor = openSync(file, 'a');
    this.#sizeBytes = fstatSync(this.#descriptor).size;
  }

  /** @param line with its end */
  write(line: string): void {
    try {
      if (this.#sizeBytes > 0 && this.#sizeBytes + Buffer.byteLength(line) > this.limits.maxFileBytes) this.#rotate();
      if (this.#lostLines > 0) {
        this.#append(`${JSON.stringify({ level: 'warn', count: this.#lostLines, msg: 'log lines were lost' })}\n`);
        this.#lostLines = 0;
      }
      this.#append(line);
    } catch {
      // There is nowhere to tell it now; the next line that can be written is preceded by the count.
      this.#lostLines += 1;
    }
  }

  #append(text: string): void {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) {
      const count = writeSync(this.#descriptor, bytes, done);
      done += count;
      this.#sizeBytes += count;
    }
  }

  #rotate(): void {
    for (let age = this.limits.maxFiles - 1; age >= 1; age -= 1) {
      const younger = age === 1 ? this.file : `${this.file}.${age - 1}`;
      if (existsSync(younger)) renameSync(younger, `${this.file}.${age}`);
    }
    // With a single file there is nothing to put aside: it begins again.
    const fresh = openSync(this.file, this.limits.maxFiles > 1 ? 'a' : 'w');
    closeSync(this.#descriptor);
    this.#descriptor = fresh;
    this.#sizeBytes = fstatSync(fresh).size;
  }
}
