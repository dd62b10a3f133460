import { DfError } from '@dragonfly/errors';

/** Password of a URL. */
const PASSWORD = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/;
/** What Node puts behind the reason of a failed system call: its name and its paths. */
const SYSTEM_CALL = /\bE[A-Z0-9]+: ([a-z][^,:;]*), [a-z]+(?: '[^']*'(?: -> '[^']*')?)?/g;

/** A URL as it is shown: lines of a command are kept in the logs of pipelines, and a password has no place there. */
export function shownUrl(url: string): string {
  return url.replace(PASSWORD, '$1:***@');
}

/** A reason without what only a programmer wants to know. */
export function plainReason(message: string): string {
  return message.replaceAll(SYSTEM_CALL, '$1');
}

/**
 * What the user reads when a download failed: what it was, and what can be done.
 * @param isVerbose tell the headers of the origin too, and system calls
 */
export function failureText(error: DfError, url: string, isVerbose: boolean): string {
  const lines = [`dfget: cannot download ${shownUrl(url)}: ${reasonOf(error, url, isVerbose)}`];
  const headers = error.details['headers'];
  if (isVerbose && error.code === 'origin' && typeof headers === 'object' && headers !== null) {
    lines.push(...Object.entries(headers).map(([name, value]) => `  ${name}: ${String(value)}`));
  }
  const advice = adviceFor(error);
  if (advice !== undefined) lines.push(`  ${advice}`);
  return lines.join('\n');
}

function reasonOf(error: DfError, url: string, isVerbose: boolean): string {
  const statusCode = error.details['statusCode'];
  const reason = withoutUrl(isVerbose ? error.message : plainReason(error.message), url);
  if (error.code !== 'origin' || typeof statusCode !== 'number') return reason;
  // The original daemon tells the status line alone, `404 Not Found`.
  if (reason.startsWith(String(statusCode))) return `the source answered ${reason}`;
  return `the source ${reason.includes(String(statusCode)) ? reason : `answered ${statusCode}: ${reason}`}`;
}

/** The URL stands in the line already, be it whole or without its query and its credentials. */
function withoutUrl(message: string, url: string): string {
  const withoutQuery = url.split(/[?#]/, 1)[0] ?? url;
  const forms = [url, withoutQuery, withoutQuery.replace(/\/\/[^/]*@/, '//')];
  const prefix = forms.find((start) => message.startsWith(`${start}: `));
  return prefix === undefined ? message : message.slice(prefix.length + ': '.length);
}

function adviceFor(error: DfError): string | undefined {
  switch (error.code) {
    case 'origin':
      return adviceForOrigin(error.details['statusCode']);
    case 'unavailable':
      return 'Check the network and the address of the source; dfget --verbose --console tells which ways were tried.';
    case 'deadline-exceeded':
      return 'Give it more time with --timeout, such as --timeout 6h, or 0 for no limit.';
    case 'no-space':
      return 'Make room on the disk of the output and of the daemon.';
    case 'data-loss':
      return 'Check the digest you gave. Where the content of the URL has changed, --tag NAME fetches it anew.';
    case 'permission-denied':
      return 'Check the permissions of the output directory, and whether the cluster blocks this URL.';
    case 'resource-exhausted':
      return 'Try again in a moment.';
    case 'unauthenticated':
      return "Give the credentials with -H 'Authorization: …'.";
    case 'failed-precondition':
    case 'invalid-argument':
    case 'not-found':
    case 'already-exists':
    case 'cancelled':
    case 'unimplemented':
    case 'internal':
      return undefined;
  }
}

function adviceForOrigin(statusCode: unknown): string | undefined {
  switch (statusCode) {
    case 401:
    case 403:
      return "The source wants other credentials: give them with -H 'Authorization: …', or use a fresh signed URL.";
    case 404:
    case 410:
      return 'Check the URL.';
    case 416:
      return 'The file is shorter than the range begins.';
    case 429:
    case 502:
    case 503:
    case 504:
      return 'The source is overloaded or down; try again later.';
    default:
      return undefined;
  }
}
