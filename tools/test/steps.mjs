/**
 * Running a command as one step of the tests: quiet while it goes well, complete when it does not.
 */
import { spawn } from 'node:child_process';

/** Output of a failing step beyond this is cut at the front: the end says what went wrong. */
const SHOWN_OUTPUT_CHARACTERS = 20_000;

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {{ status: number | string, output: string, seconds: number }} Ended
 * @typedef {{ name: string, command: string[], skipReason?: string }} Step `skipReason`: why it is not run on this machine
 */

/** @param {Step} step @param {NodeJS.ProcessEnv} environment @returns {Promise<Counts>} */
export async function runStep({ name, command, skipReason }, environment) {
  if (skipReason) {
    console.log(`${name}: skipped (${skipReason})`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const { status, output, seconds } = await runCommand(command, { environment });
  if (status === 0) {
    console.log(`${name}: ok (${seconds.toFixed(1)} s)`);
    return { passed: 1, failed: 0, skipped: 0 };
  }
  console.log(`${name}: FAILED (${seconds.toFixed(1)} s): ${command.join(' ')}\n${endOf(output)}`);
  return { passed: 0, failed: 1, skipped: 0 };
}

/** A busy machine closes its last sockets late; what still runs after this does hang. */
const HANG_GRACE_MS = 20_000;

/**
 * @param {string[]} command
 * @param {{ environment: NodeJS.ProcessEnv, timeoutMs?: number, hangs?: RegExp }} options `hangs`: output after which the
 *   command gets `HANG_GRACE_MS` to end, because it has said that something keeps it
 * @returns {Promise<Ended>} output: stdout and stderr as they came; status: exit status, signal or why it did not start
 */
export function runCommand([program, ...args], { environment, timeoutMs, hangs }) {
  const started = performance.now();
  return new Promise((resolve) => {
    let output = '';
    const end = (/** @type {number | string} */ status) =>
      resolve({ status, output, seconds: (performance.now() - started) / 1000 });
    // A group of its own: what stands between us and the tests must not keep a signal from them.
    const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const giveUp = () => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL');
    const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
    /** @type {NodeJS.Timeout | undefined} */
    let hangTimer;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
        if (hangs?.test(text)) hangTimer ??= setTimeout(giveUp, HANG_GRACE_MS);
      });
    }
    child.once('error', (error) => end(error.message));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      clearTimeout(hangTimer);
      end(code ?? signal ?? 'unknown');
    });
  });
}

/** @param {string} output */
export function endOf(output) {
  return output.length > SHOWN_OUTPUT_CHARACTERS ? `[...]${output.slice(-SHOWN_OUTPUT_CHARACTERS)}` : output;
}

/**
 * Works on every item, at most `width` at once.
 * @template T
 * @param {readonly T[]} items @param {number} width @param {(item: T) => Promise<void>} work
 */
export async function runInPool(items, width, work) {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
