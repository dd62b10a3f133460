import { readFileSync, writeFileSync } from 'node:fs';

/** Kernel ticks a second in /proc/PID/stat; 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;
const KIB = 1024;

/** CPU seconds (user and system) that a process has used since it began, threads included, children not. */
export function cpuSeconds(pid: number): number {
  const { utime, stime } = statOf(pid);
  return (utime + stime) / TICKS_PER_SECOND;
}

/** CPU seconds of all children of this process that have ended. */
export function cpuSecondsOfEndedChildren(): number {
  const { cutime, cstime } = statOf('self');
  return (cutime + cstime) / TICKS_PER_SECOND;
}

/** Resident memory now, in MiB. */
export function rssMib(pid: number): number {
  return statusKib(pid, 'VmRSS') / (MIB / KIB);
}

/** Largest resident memory since the process began or {@link resetPeakRss}, in MiB. */
export function peakRssMib(pid: number): number {
  return statusKib(pid, 'VmHWM') / (MIB / KIB);
}

/** Makes {@link peakRssMib} begin anew. Of a process of another user that needs root. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function statOf(pid: number | 'self'): { utime: number; stime: number; cutime: number; cstime: number } {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, field 2, is in parentheses and may hold spaces; what follows are fields 3 and on.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { utime: field(14), stime: field(15), cutime: field(16), cstime: field(17) };
}

function statusKib(pid: number, name: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
}
