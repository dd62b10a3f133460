/**
 * Makes JSON log lines readable: standard input to standard output. Lines that are no log lines pass as they are.
 *
 * `12:34:56.789 warn  scheduler is down  scheduler=127.0.0.1:8002`; of an error the messages down its causes are shown, not
 * the stacks: those are in the log file.
 */
import { createInterface } from 'node:readline';

const OWN_FIELDS = new Set(['level', 'time', 'service', 'msg', 'err', 'pid', 'hostname']);

/** @param {string} line @returns {string} */
function pretty(line) {
  if (!line.startsWith('{')) return line;
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    // A line that was cut when its process ended.
    return line;
  }
  if (typeof entry.msg !== 'string' || typeof entry.time !== 'string') return line;
  const fields = Object.entries(entry)
    .filter(([name]) => !OWN_FIELDS.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
  const causes = [];
  for (let error = entry.err; error?.message !== undefined; error = error.cause) {
    if (causes.at(-1) !== error.message) causes.push(error.message);
  }
  const parts = [entry.time.slice(11, 23), String(entry.level).padEnd(5), entry.msg];
  if (causes.length > 0) parts.push(`(${causes.join(': ')})`);
  return [...parts, ...fields].join(' ');
}

// The reader may have seen enough (`| head`).
process.stdout.on('error', () => process.exit(0));
for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${pretty(line)}\n`);
