import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import type { Clock, LeaseHolder, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { ForeignLease, LeaseBackend, OwnedLease } from './lease-backend.js';

/** The file is written anew when it has this many lines more than there are leases. */
const MAX_SPARE_LINES = 10_000;

export interface JournalLeaseOptions {
  readonly file: string;
  /** Hosts that may read the source of one task at a time. */
  readonly limit: () => number;
  /** So long after the start a lease from before waits for the host that had it. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Entry {
  readonly serial: number;
  readonly taskId: string;
  holder: LeaseHolder;
  isReleased: boolean;
}

/** A lease from before the start. */
interface FormerLease {
  /** Below 0: those of this process count upwards from 1. */
  readonly serial: number;
  readonly holder: LeaseHolder;
}

/** One line: a lease that is held, or, without holder, the end of one. */
interface Line {
  readonly serial: number;
  readonly taskId: string;
  readonly hostId?: string;
  readonly peerId?: string;
}

/**
 * Leases of a scheduler that is alone, in a file of its own: after a restart it knows who was reading which source and
 * lets nobody else begin before that host had time to say that it still does. Lines are appended, several at a time;
 * there is no fsync, as a machine that lost power has lost its readers too.
 */
export class JournalLeaseBackend implements LeaseBackend {
  readonly #live = new Map<number, Entry>();
  /** From before the start. */
  readonly #former: Map<string, FormerLease[]>;
  readonly #forgetting: Timer;
  #serial = 0;
  #lines: string[] = [];
  #lineCount = 0;
  #writing: Promise<void> | undefined;
  #isBroken = false;

  private constructor(
    private readonly options: JournalLeaseOptions,
    private file: FileHandle,
    former: Map<string, FormerLease[]>,
  ) {
    this.#former = former;
    this.#forgetting = options.clock.after(options.ttlMs, () => {
      for (const taskId of [...former.keys()]) this.#keepFormer(taskId, []);
    });
  }

  /** @throws DfError when the file cannot be written */
  static async open(options: JournalLeaseOptions): Promise<JournalLeaseBackend> {
    await mkdir(path.dirname(options.file), { recursive: true });
    const former = await readLeases(options.file, options.log);
    // Begun anew with what was read: a start that is cut short loses nothing.
    const file = await replaceFile(options.file, linesOf(former));
    if (former.size > 0) options.log.info({ leases: former.size }, 'source leases from before the restart');
    return new JournalLeaseBackend(options, file, former);
  }

  claim(taskId: string, holder: LeaseHolder): OwnedLease | Promise<OwnedLease | ForeignLease> {
    const other = this.#takeFormer(taskId, holder);
    if (other !== undefined) return Promise.resolve({ kind: 'foreign', holder: other });
    this.#serial += 1;
    const entry: Entry = { serial: this.#serial, taskId, holder, isReleased: false };
    this.#live.set(entry.serial, entry);
    const owned: OwnedLease = {
      kind: 'owned',
      passTo: (next) => {
        if (entry.isReleased) return;
        entry.holder = next;
        void this.#append({ serial: entry.serial, taskId, ...next });
      },
      release: () => {
        if (entry.isReleased) return;
        entry.isReleased = true;
        this.#live.delete(entry.serial);
        void this.#append({ serial: entry.serial, taskId });
      },
    };
    return this.#append({ serial: entry.serial, taskId, ...holder }).then(() => owned);
  }

  async close(): Promise<void> {
    this.#forgetting.cancel();
    // Lines that came during a write are on their way only when that has ended.
    while (this.#lines.length > 0 || this.#writing !== undefined) await this.#flush();
    await this.file.close();
  }

  /** @returns who had the lease before the restart and may come back for it */
  #takeFormer(taskId: string, holder: LeaseHolder): LeaseHolder | undefined {
    const former = this.#former.get(taskId);
    if (former === undefined) return undefined;
    const rest = former.filter((lease) => lease.holder.hostId !== holder.hostId);
    if (rest.length === former.length && rest.length >= this.options.limit()) return rest[0]?.holder;
    this.#keepFormer(taskId, rest);
    return undefined;
  }

  #keepFormer(taskId: string, rest: FormerLease[]): void {
    for (const lease of this.#former.get(taskId) ?? []) {
      if (!rest.includes(lease)) void this.#append({ serial: lease.serial, taskId });
    }
    if (rest.length === 0) this.#former.delete(taskId);
    else this.#former.set(taskId, rest);
  }

  #append(line: Line): Promise<void> {
    if (this.#isBroken) return Promise.resolve();
    this.#lines.push(lineOf(line));
    this.#lineCount += 1;
    // One write at a time: what comes meanwhile goes with the next one.
    const before = this.#writing;
    if (before === undefined) return this.#flush();
    return before.then(() => (this.#lines.length === 0 ? this.#writing : this.#flush()));
  }

  #flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const lines = this.#lines.splice(0);
    try {
      if (this.#lineCount > this.#live.size + MAX_SPARE_LINES) {
        await this.file.close();
        const live = Array.from(this.#live.values(), ({ serial, taskId, holder }) =>
          lineOf({ serial, taskId, ...holder }),
        ).concat(linesOf(this.#former));
        this.file = await replaceFile(this.options.file, live);
        this.#lineCount = live.length;
      } else {
        await this.file.appendFile(lines.join(''));
      }
    } catch (error) {
      this.#isBroken = true;
      this.options.log.warn(
        { file: this.options.file, reason: DfError.from(error).message },
        'source leases cannot be written down: a restart will not know of them',
      );
    }
  }
}

function lineOf(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

function linesOf(former: ReadonlyMap<string, readonly FormerLease[]>): string[] {
  return [...former].flatMap(([taskId, leases]) =>
    leases.map(({ serial, holder }) => lineOf({ serial, taskId, ...holder })),
  );
}

async function replaceFile(file: string, lines: readonly string[]): Promise<FileHandle> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(lines.join(''));
    await rename(`${file}.new`, file);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Leases that were held when the file was last written to; a line that was cut short is left out. */
async function readLeases(file: string, log: Logger): Promise<Map<string, FormerLease[]>> {
  const held = new Map<number, { readonly taskId: string; readonly holder: LeaseHolder }>();
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (DfError.from(error).code !== 'not-found') throw error;
    return new Map();
  }
  for (const line of text.split('\n')) {
    const read = parseLine(line);
    if (read === undefined) {
      if (line !== '') log.warn({ file }, 'a line of the source leases cannot be read');
    } else if (read.holder === undefined) {
      held.delete(read.serial);
    } else {
      held.set(read.serial, { taskId: read.taskId, holder: read.holder });
    }
  }
  const byTask = new Map<string, FormerLease[]>();
  let serial = 0;
  for (const { taskId, holder } of held.values()) {
    serial -= 1;
    byTask.set(taskId, [...(byTask.get(taskId) ?? []), { serial, holder }]);
  }
  return byTask;
}

function parseLine(
  line: string,
): { readonly serial: number; readonly taskId: string; readonly holder: LeaseHolder | undefined } | undefined {
  try {
    const { serial, taskId, hostId, peerId } = JSON.parse(line) as Record<string, unknown>;
    if (typeof serial !== 'number' || typeof taskId !== 'string') return undefined;
    const holder = typeof hostId === 'string' && typeof peerId === 'string' ? { hostId, peerId } : undefined;
    return { serial, taskId, holder };
  } catch {
    return undefined; // The last line of a process that was killed while it wrote.
  }
}
