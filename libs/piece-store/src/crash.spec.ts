import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Content, tempDir } from '@dragonfly/testkit';
import { quietLog, readPiece } from '../test/store-fixtures.js';
import { PieceStore } from './piece-store.js';

const WRITER = fileURLToPath(new URL('../test/crash-writer.mjs', import.meta.url));
const CONTENT_BYTES = 64 << 20;
const PIECE_BYTES = 64 << 10;
const KILLS = 20;

/** Runs the writer, kills it (SIGKILL) `delayMs` after it began to write; the pieces whose commit it saw resolve. */
async function writeUntilKilled(
  directory: string,
  delayMs: number,
): Promise<{ committed: number[]; isComplete: boolean }> {
  const child = spawn(process.execPath, [WRITER, directory, String(CONTENT_BYTES), String(PIECE_BYTES)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.startsWith('ready\n')) timer ??= setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
  await once(child, 'close');
  clearTimeout(timer);
  const lines = output.split('\n').slice(0, -1);
  return { committed: lines.filter((line) => /^\d+$/.test(line)).map(Number), isComplete: lines.includes('complete') };
}

describe('a process that is killed while it writes', () => {
  it('loses no committed piece and leaves no wrong byte', async () => {
    using directory = tempDir('crash');
    const content = new Content(CONTENT_BYTES);
    const committed = new Set<number>();
    let kills = 0;
    let rounds = 0;
    for (let isComplete = false; !isComplete && rounds < KILLS; rounds += 1) {
      const round = await writeUntilKilled(directory.path, 1 + Math.random() * 25);
      isComplete = round.isComplete;
      if (!isComplete) kills += 1;
      for (const number of round.committed) committed.add(number);

      const store = await PieceStore.open({ directory: directory.path, log: quietLog });
      const task = store.get('standard', 'crashing');
      const stored = new Set([...(task?.pieces() ?? [])].map((piece) => piece.number));
      expect([...committed].filter((number) => !stored.has(number))).toEqual([]);
      for (const number of stored) {
        if (task === undefined) break;
        const expected = content.slice(number * PIECE_BYTES, (number + 1) * PIECE_BYTES);
        if (!(await readPiece(task, number)).equals(expected)) {
          throw new Error(`round ${rounds}: piece ${number} is wrong`);
        }
      }
      await store.close();
    }
    expect(kills).toBeGreaterThan(10);
    expect(committed.size).toBeGreaterThan(100);
  }, 120_000);
});
