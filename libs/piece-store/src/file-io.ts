import fs from 'node:fs';
import { promisify } from 'node:util';
import { DfError, isErrnoException } from '@dragonfly/errors';

/** Promise forms over plain descriptors: the piece server needs numbers, not `FileHandle`s. */
export const openFile = promisify(fs.open);
export const closeFile = promisify(fs.close);
export const syncFileData = promisify(fs.fdatasync);
export const truncateFile = promisify(fs.ftruncate);
export const changeOwner = promisify(fs.fchown);
const statDescriptor = promisify(fs.fstat) as (fd: number, options: { bigint: true }) => Promise<fs.BigIntStats>;
const readOnce = promisify(fs.read);
const writeOnce = promisify(fs.write);

export function statOpenFile(fd: number): Promise<fs.BigIntStats> {
  return statDescriptor(fd, { bigint: true });
}

/** Writes all of `buffer` at `position`, however many calls the kernel makes of it. */
export async function writeFully(fd: number, buffer: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < buffer.byteLength) {
    const { bytesWritten } = await writeOnce(fd, buffer, done, buffer.byteLength - done, position + done);
    if (bytesWritten === 0) throw new DfError('internal', 'the file system accepted no bytes');
    done += bytesWritten;
  }
}

/** Fills `buffer` from `position`. @returns bytes read, fewer than asked only at the end of the file */
export async function readFully(fd: number, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.byteLength) {
    const { bytesRead } = await readOnce(fd, buffer, done, buffer.byteLength - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Runs a file operation; a missing file is an answer, not an error. @returns undefined when it was not there */
export async function ifPresent<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
