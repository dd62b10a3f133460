import type { commonV2 } from '@dragonfly/proto';
import type { KnownHost } from './host-book.js';
import type { DurablePeer, DurableTask } from './durable-records.js';
import type { ReplicaCounts } from './durable-store.js';

// What is said about durable tasks, the same for both kinds; `wire-*.ts` turn it into the messages of each.

/** Who a message is about. */
export interface PeerIds {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
}

/** One message of an announce stream. */
export interface DurableMessage extends PeerIds {
  /** Absent when the sender forgot it. */
  readonly report: DurableReport | undefined;
}

export type DurableReport =
  | {
      readonly kind: 'register';
      /** The peer is to become a replica. */
      readonly isPersistent: boolean;
      readonly needsBackToSource: boolean;
      readonly concurrentPieceCount: number;
    }
  | { readonly kind: 'started' }
  | { readonly kind: 'reschedule'; readonly unwantedParents: readonly string[] }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly description: string | undefined }
  | { readonly kind: 'piece-finished'; readonly piece: commonV2.Piece | undefined; readonly isFromSource: boolean }
  | { readonly kind: 'piece-failed'; readonly parentId: string; readonly isTemporary: boolean }
  | { readonly kind: 'source-piece-failed' };

/** A peer with what a record of it names. */
export interface PeerView {
  readonly peer: DurablePeer;
  readonly task: TaskView;
  readonly host: KnownHost;
}

/** A task with its replicas counted. */
export interface TaskView {
  readonly task: DurableTask;
  readonly replicas: ReplicaCounts;
}

/** What a peer is told that asked for parents. */
export type DurableAnswer =
  | { readonly kind: 'empty' }
  | { readonly kind: 'parents'; readonly parents: readonly PeerView[] }
  | { readonly kind: 'back-to-source'; readonly description: string };

/** The beginning of an upload. */
export interface DurableUpload extends PeerIds {
  readonly facts: Omit<DurableTask, 'id' | 'state' | 'createdAtMs' | 'updatedAtMs'>;
}
