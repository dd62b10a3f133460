import { assertNever, type DfError } from '@dragonfly/errors';
import type { DownloadOptions } from './options.js';

/**
 * What else may work after a daemon failed: `transfer` = the same daemon with the bytes over the socket, `source` = dfget
 * fetches from the source itself.
 */
export type Cure = 'none' | 'transfer' | 'source';

/** Errors of the file system on the daemon's side: it does not see, or may not write, where the output shall be. */
const OUTPUT_ERRNOS: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS']);

/** Decides by what the daemon said whether another way could do better, and whether the user allows it. */
export function cureFor(error: DfError, options: DownloadOptions): Cure {
  const cure = anyCureFor(error);
  if (options.forceHardLink) return 'none';
  // Where the bytes come from makes no difference to a disk that is full.
  if (isOfOutput(error, options) && (error.code === 'no-space' || options.transferFromDfdaemon)) return 'none';
  if (cure === 'transfer') return options.transferFromDfdaemon ? allowedSource(options) : 'transfer';
  return cure === 'source' ? allowedSource(options) : 'none';
}

/** The output itself cannot be written, be it by the daemon or by dfget. */
function isOfOutput(error: DfError, options: DownloadOptions): boolean {
  return error.details['path'] === options.outputPath;
}

function allowedSource(options: DownloadOptions): Cure {
  return options.disableBackToSource ? 'none' : 'source';
}

function anyCureFor(error: DfError): Cure {
  switch (error.code) {
    // An answer of the source would be the same for dfget; that the daemon got none may be the daemon's network.
    case 'origin':
      return error.details['statusCode'] === undefined ? 'source' : 'none';
    case 'unauthenticated':
      return 'none';
    // The request is wrong, the user's limit is reached, or the user gave up.
    case 'invalid-argument':
    case 'failed-precondition':
    case 'already-exists':
    case 'deadline-exceeded':
    case 'cancelled':
      return 'none';
    // Without an errno it is the daemon's block list, which is not to be gone around.
    case 'permission-denied':
      return OUTPUT_ERRNOS.has(error.details['errno']) ? 'transfer' : 'none';
    case 'not-found':
      return OUTPUT_ERRNOS.has(error.details['errno']) ? 'transfer' : 'source';
    // A digest that does not match: the user's is wrong, or the content has changed. Going to the source as well would
    // make every host of a cluster read it for one wrong digest.
    case 'data-loss':
      return error.details['expected'] === undefined ? 'source' : 'none';
    // The daemon, the cluster, or what they hold.
    case 'resource-exhausted':
    case 'no-space':
    case 'unavailable':
    case 'unimplemented':
    case 'internal':
      return 'source';
    default:
      return assertNever(error.code);
  }
}
