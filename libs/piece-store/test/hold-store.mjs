// Opens the store in argv[2] and keeps it until killed. Prints "open" or the error.
import { PieceStore } from '../dist/index.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
try {
  await PieceStore.open({ directory: process.argv[2], log });
  console.log('open');
  setInterval(() => {}, 60_000);
} catch (error) {
  console.log(`refused: ${error.message}`);
}
