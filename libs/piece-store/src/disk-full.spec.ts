import { execFileSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { DfError } from '@dragonfly/errors';
import { tempDir } from '@dragonfly/testkit';
import { beginPiece, contentOf, quietLog, readPiece, storeContent, storePiece } from '../test/store-fixtures.js';
import { PieceStore } from './piece-store.js';

const PIECE = 256 << 10;
const CONTENT = contentOf(8 * PIECE);

describe('a full disk', () => {
  it('ends writers with no-space and keeps what was stored, also over a restart', async () => {
    using directory = tempDir('full');
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', directory.path], { stdio: 'pipe' });
    } catch (error) {
      console.log(
        `not run: a small file system cannot be mounted here (${DfError.from(error).message.split('\n')[0]})`,
      );
      return;
    }
    try {
      let store = await PieceStore.open({ directory: directory.path, log: quietLog });
      let task = await store.getOrCreate('standard', 'filling', {
        pieceLengthBytes: PIECE,
        contentLengthBytes: CONTENT.length,
      });
      await storePiece(task, 0, CONTENT.subarray(0, PIECE));

      // Somebody else takes the rest of the disk.
      const { bavail, bsize } = statfsSync(directory.path);
      writeFileSync(directory.file('other'), Buffer.alloc(Number(bavail) * Number(bsize) - PIECE));

      const outcomes: string[] = [];
      for (let number = 1; number < 8; number += 1) {
        const bytes = CONTENT.subarray(number * PIECE, (number + 1) * PIECE);
        const writer = beginPiece(task, number);
        try {
          await writer.write(bytes, 0);
          await writer.commit({ lengthBytes: PIECE, crc32: crc32(bytes), trafficType: 1, costMs: 1 });
          outcomes.push('stored');
        } catch (error) {
          writer.abort();
          outcomes.push(DfError.from(error).code);
        }
      }
      expect(outcomes.filter((outcome) => outcome !== 'stored' && outcome !== 'no-space')).toEqual([]);
      expect(outcomes).toContain('no-space');
      const stored = [0, ...outcomes.flatMap((outcome, index) => (outcome === 'stored' ? [index + 1] : []))];

      await store.close();
      store = await PieceStore.open({ directory: directory.path, log: quietLog });
      const found = store.get('standard', 'filling');
      if (found === undefined) throw new Error('the task is gone');
      task = found;
      expect([...task.pieces()].map((piece) => piece.number)).toEqual(stored);
      for (const number of stored) {
        await expect(readPiece(task, number)).resolves.toEqual(CONTENT.subarray(number * PIECE, (number + 1) * PIECE));
      }

      // Room again: the task goes on where it was.
      writeFileSync(directory.file('other'), '');
      await storeContent(task, CONTENT);
      await expect(task.verify(`crc32:${crc32(CONTENT)}`)).resolves.toBe(true);
      await store.close();
    } finally {
      execFileSync('umount', [directory.path]);
    }
  }, 30_000);
});
