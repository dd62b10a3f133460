import path from 'node:path';
import { REPOSITORY } from '../repository.js';

/** Where the recordings are kept. */
export const RECORDED_DIRECTORY = path.join(REPOSITORY, 'test/compat/recorded');

/** The id of the recorded task is made of this text, and of no URL: a replay can serve the file at any address. */
export const RECORDED_TASK_TEXT = 'recorded exchanges';

/** Two pieces: one of 4 MiB, and a short one. */
export const RECORDED_FILE = { lengthBytes: 4 * 1024 * 1024 + 10_000, seed: 31 } as const;

/** Small enough that its bytes can stand in a recording. */
export const RECORDED_SMALL_FILE = { lengthBytes: 5000, seed: 32 } as const;
