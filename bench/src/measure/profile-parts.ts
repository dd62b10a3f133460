import type { ProfiledFunction } from './inspector.ts';

/** Where a process of ours spends its time. The first one that fits counts. */
const PARTS: readonly { readonly part: string; readonly fits: (fn: ProfiledFunction) => boolean }[] = [
  { part: 'idle', fits: ({ name, url }) => url === '' && name === '(idle)' },
  { part: 'collection of garbage', fits: ({ name, url }) => url === '' && name === '(garbage collector)' },
  { part: 'system calls and native code', fits: ({ url }) => url === '' },
  {
    part: "Node's HTTP/2, streams and sockets",
    fits: ({ url }) => /^node:(internal\/(http2|streams|stream_base|js_stream)|net|_?stream|events|http2)/.test(url),
  },
  { part: "rest of Node's own JavaScript", fits: ({ url }) => url.startsWith('node:') },
  { part: 'grpc-js', fits: ({ url }) => url.includes('/@grpc/') },
  { part: 'Nest and rxjs', fits: ({ url }) => /\/(@nestjs|rxjs)\//.test(url) },
  {
    part: 'messages to and from bytes',
    fits: ({ url }) => url.includes('/@bufbuild/') || url.includes('/libs/proto/'),
  },
  { part: 'our side of the transport', fits: ({ url }) => url.includes('/libs/rpc/') },
  { part: 'log', fits: ({ url }) => /\/(pino|sonic-boom|fast-redact|libs\/telemetry)/.test(url) },
  { part: 'metrics', fits: ({ url }) => /\/prom-client\/|\/metrics/.test(url) },
  { part: 'scheduling', fits: ({ url }) => url.includes('/libs/scheduling/') },
  { part: 'the rest of the scheduler', fits: () => true },
];

/** @returns seconds by part, the largest first, without idle time */
export function profileParts(functions: readonly ProfiledFunction[]): { part: string; seconds: number }[] {
  const seconds = new Map<string, number>();
  for (const fn of functions) {
    const part = PARTS.find(({ fits }) => fits(fn))?.part ?? '';
    if (part !== 'idle') seconds.set(part, (seconds.get(part) ?? 0) + fn.seconds);
  }
  return Array.from(seconds, ([part, total]) => ({ part, seconds: total })).toSorted((a, b) => b.seconds - a.seconds);
}
