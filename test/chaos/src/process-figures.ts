import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isErrnoException } from '@dragonfly/errors';

/** What the kernel says of a process. */
export interface ProcessFigures {
  readonly rssBytes: number;
  /** All open file descriptors. */
  readonly fds: number;
  readonly sockets: number;
  readonly threads: number;
}

/** Linux only: reads /proc. */
export function figuresOf(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const number = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
  return {
    rssBytes: number('VmRSS') * 1024,
    fds: targets.length,
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
    threads: number('Threads'),
  };
}

/** Whether a process that is no child of this one has ended; it has let everything go then, even if nobody has asked how it ended. */
export function hasEnded(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if (isErrnoException(error) && (error.code === 'ENOENT' || error.code === 'ESRCH')) return true;
    throw error;
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    // Closed between listing and looking.
    return '';
  }
}

/** Least-squares slope of y over x. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return variance === 0 ? 0 : covariance / variance;
}
