import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Make } from '../parts/cluster.ts';
import type { Origin } from '../parts/origin.ts';
import { runCommand, type CommandFigures } from '../measure/run-command.ts';

/** What every benchmark is given. */
export interface BenchmarkContext {
  /** A folder of its own, on the file system that is measured; removed afterwards. */
  readonly directory: string;
  readonly origin: Origin;
  readonly rounds: number;
  /** Folder with the released dfdaemon and dfget, when given. */
  readonly realBinaries: string | undefined;
  readonly progress: (text: string) => void;
}

/** The makes that are compared: ours, and the real one when its programs are there. */
export function makesOf(context: BenchmarkContext): Make[] {
  const { realBinaries } = context;
  return [{ kind: 'ours' }, ...(realBinaries === undefined ? [] : [{ kind: 'real', binaries: realBinaries } as const])];
}

/**
 * Writes out what earlier measurements left in the page cache, so that nobody pays for another one's dirty pages. No
 * measurement itself waits for the disk: neither side syncs.
 */
export function settleDisk(): void {
  execFileSync('sync');
}

/** The reference download: one connection, a new file. */
export async function curl(context: BenchmarkContext, url: string): Promise<CommandFigures> {
  const output = join(context.directory, 'curl-output');
  rmSync(output, { force: true });
  settleDisk();
  const figures = await runCommand('curl', ['--silent', '--show-error', '--fail', '--output', output, url]);
  rmSync(output);
  return figures;
}
