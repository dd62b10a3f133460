import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
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
  /** The interoperability server of grpc-go, or its folder, when given. */
  readonly reference: string | undefined;
  readonly progress: (text: string) => void;
}

/** The makes that are compared: ours, and the real one when its programs are there. */
export function makesOf(context: BenchmarkContext): Make[] {
  const { realBinaries } = context;
  return [{ kind: 'ours' }, ...(realBinaries === undefined ? [] : [{ kind: 'real', binaries: realBinaries } as const])];
}

const SCRATCH_BLOCK = Buffer.alloc(1024 * 1024, 1);

/**
 * Makes the ground level before a measurement that writes so many bytes. What earlier ones left in the page cache is written
 * out, so that nobody pays for another one's dirty pages; no measurement itself waits for the disk. Then as much memory as
 * will be needed is used and freed: on a virtual machine the first use of a page costs many times the second, and whoever
 * is measured after somebody who freed his would have it for nothing.
 */
export function settle(context: BenchmarkContext, writtenBytes: number): void {
  const scratch = join(context.directory, 'scratch');
  const descriptor = openSync(scratch, 'w');
  try {
    for (let bytes = 0; bytes < writtenBytes; bytes += SCRATCH_BLOCK.length) writeSync(descriptor, SCRATCH_BLOCK);
  } finally {
    closeSync(descriptor);
    rmSync(scratch);
  }
  execFileSync('sync');
}

/** The reference download: one connection, a new file of so many bytes. */
export async function curl(context: BenchmarkContext, url: string, lengthBytes: number): Promise<CommandFigures> {
  const output = join(context.directory, 'curl-output');
  rmSync(output, { force: true });
  settle(context, lengthBytes);
  const figures = await runCommand('curl', ['--silent', '--show-error', '--fail', '--output', output, url]);
  rmSync(output);
  return figures;
}
