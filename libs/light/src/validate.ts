import { DfError } from '@dragonfly/errors';
import type { JsonObject } from './frame.js';
import type {
  ClientMessage,
  DaemonMessage,
  LightDownloadRequest,
  LightOutcome,
  LightRange,
  LightTrace,
  LightTraffic,
} from './messages.js';
import { LIGHT_PROTOCOL_VERSION } from './messages.js';

// Hand-written instead of a schema library: this module is on dfget's start-up path, where each imported kilobyte shows.

const MAX_URL_LENGTH = 64 * 1024;
const MAX_TEXT_LENGTH = 64 * 1024;
/** PATH_MAX of Linux. */
const MAX_PATH_BYTES = 4096;
const MAX_HEADERS = 256;
const MAX_FILTERED_QUERY_PARAMS = 1024;
/** Smallest piece length Dragonfly's services accept (`common.v2.Download.piece_length`). */
const MIN_PIECE_LENGTH_BYTES = 4 * 1024 * 1024;
const MAX_PRIORITY = 6;
/** Longest values: a traceparent of version 00 has 55 characters, later ones may have more. */
const TRACE_KEYS = [
  ['traceparent', 256],
  ['tracestate', 512],
] as const;
/** Highest uid and gid; 2^32-1 means "unchanged" to chown and is refused. */
const MAX_USER_ID = 2 ** 32 - 2;

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/./;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
// A header value may not carry a line end (it would start another header) or a NUL.
const HEADER_VALUE = /^[^\r\n\0]*$/;
const DIGEST =
  /^(?:md5:[0-9a-fA-F]{32}|sha1:[0-9a-fA-F]{40}|sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128}|crc32:[0-9a-fA-F]{1,10})$/;

function refuse(field: string, rule: string): never {
  throw new DfError('invalid-argument', `${field}: ${rule}`, { details: { field, rule } });
}

function objectAt(value: unknown, field: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(field, 'must be an object');
  return value as JsonObject;
}

function text(value: unknown, field: string, maxLength = MAX_TEXT_LENGTH): string {
  if (typeof value !== 'string') refuse(field, 'must be a string');
  if (value.length > maxLength) refuse(field, `must not be longer than ${maxLength} characters`);
  return value;
}

function integer(value: unknown, field: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    refuse(field, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') refuse(field, 'must be true or false');
  return value;
}

/** Applies `check` unless the field is absent (undefined or null). */
function optional<T>(value: unknown, check: (present: unknown) => T): T | undefined {
  return value === undefined || value === null ? undefined : check(value);
}

function url(value: unknown, field: string): string {
  const checked = text(value, field, MAX_URL_LENGTH);
  if (!SCHEME.test(checked)) refuse(field, 'must be an absolute URL such as https://host/path');
  return checked;
}

function absolutePath(value: unknown, field: string): string {
  const checked = text(value, field);
  if (!checked.startsWith('/')) refuse(field, 'must be an absolute path');
  if (checked.includes('\0')) refuse(field, 'must not contain NUL');
  if (Buffer.byteLength(checked) > MAX_PATH_BYTES) refuse(field, `must not be longer than ${MAX_PATH_BYTES} bytes`);
  return checked;
}

function headers(value: unknown, field: string): Record<string, string> {
  const entries = Object.entries(objectAt(value, field));
  if (entries.length > MAX_HEADERS) refuse(field, `must not have more than ${MAX_HEADERS} entries`);
  const checked: [string, string][] = entries.map(([name, headerValue]) => {
    if (!HEADER_NAME.test(name)) refuse(`${field}[${JSON.stringify(name)}]`, 'is not a header name');
    const line = text(headerValue, `${field}.${name}`);
    if (!HEADER_VALUE.test(line)) refuse(`${field}.${name}`, 'must not contain line ends or NUL');
    return [name, line];
  });
  // fromEntries defines own properties, so that a header named __proto__ stays a header.
  return Object.fromEntries(checked);
}

function digest(value: unknown, field: string): string {
  const checked = text(value, field);
  if (!DIGEST.test(checked)) {
    refuse(field, 'must be md5:, sha1:, sha256: or sha512: and hex digits, or crc32: and the number');
  }
  return checked;
}

function pieceLength(value: unknown, field: string): number {
  const checked = integer(value, field, 0);
  if (checked !== 0 && checked < MIN_PIECE_LENGTH_BYTES) {
    refuse(field, `must be 0 or at least ${MIN_PIECE_LENGTH_BYTES}`);
  }
  return checked;
}

function textList(value: unknown, field: string): string[] {
  if (!Array.isArray(value)) refuse(field, 'must be a list of strings');
  if (value.length > MAX_FILTERED_QUERY_PARAMS) {
    refuse(field, `must not have more than ${MAX_FILTERED_QUERY_PARAMS} entries`);
  }
  return value.map((entry, index) => text(entry, `${field}[${index}]`));
}

function range(value: unknown, field: string): LightRange {
  const checked = objectAt(value, field);
  const start = integer(checked['start'], `${field}.start`, 0);
  const length = integer(checked['length'], `${field}.length`, 1);
  if (!Number.isSafeInteger(start + length)) refuse(field, 'must end below 2^53');
  return { start, length };
}

/** Texts of a sane length: what they say is judged where spans are made, and what is wrong there begins a new trace. */
function trace(value: unknown, field: string): LightTrace {
  const raw = objectAt(value, field);
  const checked: Record<string, string> = {};
  for (const [name, maxLength] of TRACE_KEYS) {
    if (raw[name] !== undefined) checked[name] = text(raw[name], `${field}.${name}`, maxLength);
  }
  return checked;
}

function schedulingPolicy(value: unknown, field: string): 'auto' | 'always' {
  if (value !== 'auto' && value !== 'always') refuse(field, 'must be "auto" or "always"');
  return value;
}

/**
 * Checks a download request field by field. Unknown fields are ignored: a newer client may send more.
 * @throws DfError `invalid-argument` whose message and details name the field and the rule
 */
export function parseDownloadRequest(value: unknown): LightDownloadRequest {
  const raw = objectAt(value, 'request');
  const at = (name: keyof LightDownloadRequest): string => `request.${name}`;
  const given = <T>(name: keyof LightDownloadRequest, check: (present: unknown, field: string) => T): T | undefined =>
    optional(raw[name], (present) => check(present, at(name)));
  return {
    url: url(raw['url'], at('url')),
    output: given('output', absolutePath),
    tag: given('tag', text),
    application: given('application', text),
    headers: given('headers', headers),
    // Clients of all versions may send '' for "none".
    digest: raw['digest'] === '' ? undefined : given('digest', digest),
    pieceLength: given('pieceLength', pieceLength),
    filteredQueryParams: given('filteredQueryParams', textList),
    range: given('range', range),
    timeoutMs: given('timeoutMs', (present, field) => integer(present, field, 0)),
    disableBackToSource: given('disableBackToSource', boolean),
    priority: given('priority', (present, field) => integer(present, field, 0, MAX_PRIORITY)),
    schedulingPolicy: given('schedulingPolicy', schedulingPolicy),
    overwrite: given('overwrite', boolean),
    forceHardLink: given('forceHardLink', boolean),
    contentForCalculatingTaskId: given('contentForCalculatingTaskId', text),
    rateLimitBytesPerSecond: given('rateLimitBytesPerSecond', (present, field) => integer(present, field, 1)),
    uid: given('uid', (present, field) => integer(present, field, 0, MAX_USER_ID)),
    gid: given('gid', (present, field) => integer(present, field, 0, MAX_USER_ID)),
    callerCwd: given('callerCwd', absolutePath),
    trace: given('trace', trace),
  };
}

/**
 * Checks a message from a client.
 * @throws DfError `unimplemented` for another protocol version or message type, `invalid-argument` for a bad field
 */
export function parseClientMessage(value: JsonObject): ClientMessage {
  if (value['v'] !== LIGHT_PROTOCOL_VERSION) {
    throw new DfError(
      'unimplemented',
      `v: this daemon speaks version ${LIGHT_PROTOCOL_VERSION} of the light protocol`,
      {
        details: { field: 'v', supported: [LIGHT_PROTOCOL_VERSION] },
      },
    );
  }
  switch (value['type']) {
    case 'hello':
      return { v: LIGHT_PROTOCOL_VERSION, type: 'hello' };
    case 'download':
      return { v: LIGHT_PROTOCOL_VERSION, type: 'download', request: parseDownloadRequest(value['request']) };
    default:
      throw new DfError('unimplemented', 'type: must be "hello" or "download"', { details: { field: 'type' } });
  }
}

function lengthOrNull(value: unknown, field: string): number | null {
  return value === null || value === undefined ? null : integer(value, field, 0);
}

function traffic(raw: JsonObject, field: string): LightTraffic {
  return {
    fromSource: integer(raw['fromSource'], `${field}fromSource`, 0),
    fromPeers: integer(raw['fromPeers'], `${field}fromPeers`, 0),
    fromSeed: integer(raw['fromSeed'], `${field}fromSeed`, 0),
    fromLocal: integer(raw['fromLocal'], `${field}fromLocal`, 0),
  };
}

const OUTCOMES: ReadonlySet<string> = new Set<LightOutcome>(['linked', 'reflinked', 'copied', 'kept', 'stored']);

function outcome(value: unknown): LightOutcome {
  if (typeof value !== 'string' || !OUTCOMES.has(value)) {
    refuse('outcome', `must be one of ${[...OUTCOMES].join(', ')}`);
  }
  return value as LightOutcome;
}

/**
 * Checks a message from a daemon, so that a client never works with half a message.
 * @returns the message, or undefined for a type this version does not know (newer daemons may tell more)
 * @throws DfError `invalid-argument` naming the field
 */
export function parseDaemonMessage(value: JsonObject): DaemonMessage | undefined {
  switch (value['type']) {
    case 'hello': {
      const host = objectAt(value['host'], 'host');
      return {
        type: 'hello',
        version: text(value['version'], 'version'),
        pid: integer(value['pid'], 'pid', 0),
        host: { ip: text(host['ip'], 'host.ip'), hostname: text(host['hostname'], 'host.hostname') },
      };
    }
    case 'started':
      return {
        type: 'started',
        taskId: text(value['taskId'], 'taskId'),
        peerId: text(value['peerId'], 'peerId'),
        contentLength: lengthOrNull(value['contentLength'], 'contentLength'),
        hostIp: optional(value['hostIp'], (present) => text(present, 'hostIp')),
      };
    case 'progress':
      return {
        type: 'progress',
        completedLength: integer(value['completedLength'], 'completedLength', 0),
        contentLength: lengthOrNull(value['contentLength'], 'contentLength'),
        ...traffic(value, ''),
      };
    case 'done':
      return {
        type: 'done',
        outcome: outcome(value['outcome']),
        contentLength: integer(value['contentLength'], 'contentLength', 0),
        taskId: text(value['taskId'], 'taskId'),
        traffic: traffic(objectAt(value['traffic'], 'traffic'), 'traffic.'),
      };
    case 'error':
      return {
        type: 'error',
        code: text(value['code'], 'code'),
        message: text(value['message'], 'message'),
        details: optional(value['details'], (present) => objectAt(present, 'details')),
      };
    default:
      return undefined;
  }
}
