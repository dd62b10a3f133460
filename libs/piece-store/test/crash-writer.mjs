// Writes pieces of a known content into the store in argv[2] until it is killed, several at a time, in parts, and names
// each piece on stdout when its commit has resolved. argv: directory, content length, piece length.
import { crc32 } from 'node:zlib';
import { writeSync } from 'node:fs';
import { Content } from '@dragonfly/testkit';
import { PieceStore } from '../dist/index.js';

const [directory, contentLength, pieceLength] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const content = new Content(contentLength);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const store = await PieceStore.open({ directory, log });
const task = await store.getOrCreate('standard', 'crashing', {
  pieceLengthBytes: pieceLength,
  contentLengthBytes: contentLength,
});
await task.ensureVerified();
const missing = task.missingPieces().values();
writeSync(1, 'ready\n');
await Promise.all(
  Array.from({ length: 4 }, async () => {
    for (const number of missing) {
      const bytes = content.slice(number * pieceLength, (number + 1) * pieceLength);
      const writer = task.beginPiece(number);
      const half = bytes.length >> 1;
      await Promise.all([writer.write(bytes.subarray(half), half), writer.write(bytes.subarray(0, half), 0)]);
      await writer.commit({ lengthBytes: bytes.length, crc32: crc32(bytes), trafficType: 1, costMs: 1 });
      writeSync(1, `${number}\n`);
    }
  }),
);
await task.complete();
writeSync(1, 'complete\n');
await store.close();
