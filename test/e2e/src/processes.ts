import { setTimeout as delay } from 'node:timers/promises';

/** Whether a process of this id exists (and may be signalled by this user). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // `instanceof` is no test here: the error comes from outside the test's realm.
    if (Error.isError(error) && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** Kills a process that these tests have started and waits until it is gone. */
export async function killAndWait(pid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  process.kill(pid, signal);
  while (isAlive(pid)) await delay(20);
}
