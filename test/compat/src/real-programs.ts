import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Programs of the Rust client that the tests run. */
const PROGRAMS = ['dfdaemon', 'dfget', 'dfctl', 'dfcache'] as const;
export type RealProgram = (typeof PROGRAMS)[number];

/** Variable that names the directory of the real programs; `./test.sh --compat DIRECTORY` sets it. */
const DIRECTORY_VARIABLE = 'DRAGONFLY_REAL_BIN';

const directory = process.env[DIRECTORY_VARIABLE];

/** Path of a real program. Only to be called inside `describeWithRealPrograms`. */
export function realProgram(name: RealProgram): string {
  return path.join(directory ?? '', name);
}

function whyNotHere(): string | undefined {
  if (directory === undefined || directory === '') {
    return `no real Dragonfly programs to test against (${DIRECTORY_VARIABLE} is not set; ./test.sh --compat DIRECTORY)`;
  }
  for (const name of PROGRAMS) {
    try {
      accessSync(realProgram(name), constants.X_OK);
    } catch {
      // A directory that was named but is incomplete is a mistake, not a reason to leave tests out.
      throw new Error(`${DIRECTORY_VARIABLE}: ${realProgram(name)} is not an executable file`);
    }
  }
  return undefined;
}

const reason = whyNotHere();
if (reason !== undefined) process.stderr.write(`skip: ${reason}\n`);

/** `describe` where the real programs are given; elsewhere the tests are skipped, and one line says why. */
export const describeWithRealPrograms = reason === undefined ? describe : describe.skip;
