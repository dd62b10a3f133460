/**
 * The text form of recorded exchanges: one line for each thing that was seen, in the order in which it was seen.
 *
 *     # free text, ignored
 *     open 3 grpc /scheduler.v2.Scheduler/AnnounceHost      call or connection number 3 begins
 *     3 > headers {"te":"trailers"}                         > from the client, < from the server
 *     3 > message 0a1b2c                                    one gRPC message without its 5-byte prefix, hex
 *     3 > end                                               the client has nothing more to send
 *     3 > cancel                                            the client gave the call up; <: the server closed it
 *     3 < headers {":status":"200"}
 *     3 < message 0a
 *     3 < trailers {"grpc-status":"0"}                      also of an answer that is trailers only
 *     open 4 vortex
 *     4 > frame 070000000044…                               a whole frame, hex
 *     4 < frame ab0100000053…
 *     4 < content 4194304                                   so many bytes of a piece, not kept: their checksum is in the frame
 */

export type Side = '>' | '<';

export type SessionEvent =
  | { readonly type: 'open'; readonly call: number; readonly protocol: 'grpc' | 'vortex'; readonly path: string }
  | { readonly type: 'headers' | 'trailers'; readonly call: number; readonly side: Side; readonly headers: Headers }
  | { readonly type: 'message' | 'frame'; readonly call: number; readonly side: Side; readonly bytes: Buffer }
  | { readonly type: 'end' | 'cancel'; readonly call: number; readonly side: Side }
  | { readonly type: 'content'; readonly call: number; readonly side: Side; readonly lengthBytes: number };

/** Of one name one value; binary ones as they are on the wire, in base64. */
export type Headers = Readonly<Record<string, string>>;

/** One line, without its end. */
export function formatEvent(event: SessionEvent): string {
  switch (event.type) {
    case 'open':
      return `open ${event.call} ${event.protocol} ${event.path}`.trimEnd();
    case 'headers':
    case 'trailers':
      return `${event.call} ${event.side} ${event.type} ${JSON.stringify(event.headers)}`;
    case 'message':
    case 'frame':
      return `${event.call} ${event.side} ${event.type} ${event.bytes.toString('hex')}`.trimEnd();
    case 'end':
    case 'cancel':
      return `${event.call} ${event.side} ${event.type}`;
    case 'content':
      return `${event.call} ${event.side} content ${event.lengthBytes}`;
  }
}

/** @throws Error naming the line that is none */
export function parseSession(text: string): SessionEvent[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
}

function parseLine(line: string): SessionEvent {
  const opened = /^open (\d+) (grpc|vortex)(?: (\S+))?$/.exec(line);
  if (opened !== null) {
    const protocol = opened[2] === 'grpc' ? 'grpc' : 'vortex';
    return { type: 'open', call: Number(opened[1]), protocol, path: opened[3] ?? '' };
  }
  const [, number, sign, type, rest = ''] = /^(\d+) ([<>]) (\w+)(?: (.*))?$/.exec(line) ?? [];
  const call = Number(number);
  const side = sign === '<' ? '<' : '>';
  switch (type) {
    case 'headers':
    case 'trailers':
      return { type, call, side, headers: JSON.parse(rest) as Headers };
    case 'message':
    case 'frame':
      return { type, call, side, bytes: Buffer.from(rest, 'hex') };
    case 'end':
    case 'cancel':
      return { type, call, side };
    case 'content':
      return { type, call, side, lengthBytes: Number(rest) };
    default:
      throw new Error(`no line of a recorded session: ${line.slice(0, 80)}`);
  }
}
