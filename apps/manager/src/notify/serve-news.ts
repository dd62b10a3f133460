import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { extNotify } from '@dragonfly/proto';
import type { ServerStream } from '@dragonfly/rpc';
import type { News, NewsKind } from './news.js';

/**
 * Pause between two messages to one subscriber. Changes come in groups (a cluster with its links, twenty schedulers of a
 * roll-out), and every message makes its receiver ask for everything.
 */
export const NEWS_INTERVAL_MS = 250;
/** Most subscribers of one manager; further ones live by their refresh. */
export const MAX_SUBSCRIBERS = 20_000;

const KINDS: Readonly<Record<NewsKind, extNotify.NotificationKind>> = {
  config: extNotify.NotificationKind.NOTIFICATION_KIND_CONFIG,
  applications: extNotify.NotificationKind.NOTIFICATION_KIND_APPLICATIONS,
  'object-storage': extNotify.NotificationKind.NOTIFICATION_KIND_OBJECT_STORAGE,
  certificates: extNotify.NotificationKind.NOTIFICATION_KIND_CERTIFICATES,
};

/** Priorities of applications matter to schedulers only, buckets to daemons only. */
function concerns(kind: NewsKind, subscriber: string): boolean {
  switch (kind) {
    case 'applications':
      return subscriber === 'scheduler';
    case 'object-storage':
      return subscriber !== 'scheduler';
    case 'config':
    case 'certificates':
      return true;
  }
}

/**
 * Serves one subscription until the caller or the manager leaves. What has changed is kept as a set of kinds, so that a
 * slow reader costs no memory and hears of each kind once.
 * @throws DfError resource-exhausted beyond MAX_SUBSCRIBERS; unavailable when the manager stops
 */
export async function serveNews(
  request: extNotify.SubscribeRequest,
  stream: ServerStream<extNotify.Notification>,
  news: News,
  stopping: AbortSignal,
): Promise<void> {
  if (news.size >= MAX_SUBSCRIBERS) {
    throw new DfError('resource-exhausted', `this manager has ${MAX_SUBSCRIBERS} subscribers already`);
  }
  const pending = new Set<NewsKind>();
  let wake = Promise.withResolvers<void>();
  const unsubscribe = news.subscribe((kind) => {
    if (!concerns(kind, request.kind)) return;
    pending.add(kind);
    wake.resolve();
  });
  const end = (): void => wake.resolve();
  const over = AbortSignal.any([stream.signal, stopping]);
  over.addEventListener('abort', end, { once: true });
  try {
    await stream.sendWhenWritable({ kind: extNotify.NotificationKind.NOTIFICATION_KIND_CONNECTED });
    while (!over.aborted) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
      for (const kind of pending) {
        pending.delete(kind);
        await stream.sendWhenWritable({ kind: KINDS[kind] });
      }
      await delay(NEWS_INTERVAL_MS, undefined, { signal: over, ref: false }).catch(() => undefined);
      if (pending.size > 0) wake.resolve();
    }
    if (stopping.aborted) throw new DfError('unavailable', 'the manager is stopping');
  } finally {
    over.removeEventListener('abort', end);
    unsubscribe();
  }
}
