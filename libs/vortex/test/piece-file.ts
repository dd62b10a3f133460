import { closeSync, openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Content, type TempDir, tempDir } from '@dragonfly/testkit';
import { crc32Digest } from '@dragonfly/ids';
import {
  crc32,
  type OpenPiece,
  type PieceKind,
  type PieceMetadata,
  type PieceSink,
  type PieceSource,
  type VortexLog,
} from '../src/index.js';

export const TASK_ID = 'ab'.repeat(32);

/** How long tests wait for something that should come at once. */
export const SOON_MS = 5_000;

/** Pieces of given lengths in a temporary file, with deterministic bytes, and a record of what happened to them. */
export class PieceFile implements PieceSource {
  readonly asked: { kind: PieceKind; taskId: string; pieceNumber: number }[] = [];
  openPieces = 0;
  /** Called before each answer; may throw or wait. */
  beforeOpen: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  /** Changes what is said about a piece. */
  disguise: (piece: PieceMetadata) => PieceMetadata = (piece) => piece;
  private readonly directory: TempDir = tempDir('vortex');
  private readonly fd: number;
  private readonly offsets: number[] = [];
  private readonly contents: Buffer[] = [];

  constructor(lengths: readonly number[]) {
    this.fd = openSync(this.directory.file('content'), 'w+');
    let end = 0;
    for (const [index, lengthBytes] of lengths.entries()) {
      const content = new Content(lengthBytes, index + 1).slice();
      this.offsets.push(end);
      this.contents.push(content);
      writeSync(this.fd, content, 0, lengthBytes, end);
      end += lengthBytes;
    }
  }

  content(pieceNumber: number): Buffer {
    const content = this.contents[pieceNumber];
    if (content === undefined) throw new Error(`no piece ${pieceNumber} in the test file`);
    return content;
  }

  /** Overwrites a byte on the disk, as a failing disk would. */
  corrupt(pieceNumber: number, at: number): void {
    const byte = this.content(pieceNumber)[at] ?? 0;
    writeSync(this.fd, Buffer.from([byte ^ 1]), 0, 1, (this.offsets[pieceNumber] ?? 0) + at);
  }

  metadata(pieceNumber: number): PieceMetadata {
    const content = this.content(pieceNumber);
    return {
      number: pieceNumber,
      offsetBytes: this.offsets[pieceNumber] ?? 0,
      lengthBytes: content.length,
      digest: crc32Digest(crc32(content)),
      parentId: '10.0.0.9-somewhere',
      trafficType: 1,
      costMs: 2_000,
      createdAtMs: 1_700_000_000_000,
    };
  }

  async open(
    kind: PieceKind,
    taskId: string,
    pieceNumber: number,
    signal: AbortSignal,
  ): Promise<OpenPiece | 'not-found'> {
    this.asked.push({ kind, taskId, pieceNumber });
    await this.beforeOpen(signal);
    if (pieceNumber >= this.contents.length) return 'not-found';
    this.openPieces++;
    let isReleased = false;
    return {
      piece: this.disguise(this.metadata(pieceNumber)),
      fd: this.fd,
      fileOffset: this.offsets[pieceNumber] ?? 0,
      release: () => {
        if (isReleased) throw new Error('piece released twice');
        isReleased = true;
        this.openPieces--;
      },
    };
  }

  close(): void {
    closeSync(this.fd);
    this.directory.remove();
  }
}

/** Keeps what is written to it and checks the promises of the sink interface. */
export class MemorySink implements PieceSink {
  readonly chunks: Buffer[] = [];
  outstanding = 0;
  maxOutstanding = 0;
  /** Called within each write; may wait or throw. */
  onWrite: (offsetInPieceBytes: number) => Promise<void> = () => Promise.resolve();
  private endBytes = 0;

  async write(chunk: Buffer, offsetInPieceBytes: number): Promise<void> {
    if (offsetInPieceBytes !== this.endBytes) {
      throw new Error(`gap: part at ${offsetInPieceBytes}, not ${this.endBytes}`);
    }
    this.endBytes += chunk.length;
    this.outstanding++;
    this.maxOutstanding = Math.max(this.maxOutstanding, this.outstanding);
    try {
      await this.onWrite(offsetInPieceBytes);
      // Copied late: the chunk must still hold the same bytes then.
      this.chunks.push(Buffer.from(chunk));
    } finally {
      this.outstanding--;
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

/** A log that keeps its warnings. */
export class MemoryLog implements VortexLog {
  readonly warnings: string[] = [];

  debug(): void {
    // Of no interest.
  }

  warn(_facts: object, message: string): void {
    this.warnings.push(message);
  }
}

/** A promise and its key. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Resolves when the socket is closed, for whatever reason: a reset by the other side is no error here. */
export function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}
