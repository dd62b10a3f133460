import type { TaskType } from '../records/download-record.js';

/** What differs between the two kinds of durable tasks; everything else is one engine. */
export interface DurableKind {
  /** In log lines and error texts. */
  readonly name: 'persistent' | 'persistent cache';
  readonly taskType: TaskType;
  /** Whether the content also lives at a source (object storage) that peers may be sent to. */
  readonly hasSource: boolean;
  /** Parts of the keys in the store. */
  readonly keys: {
    readonly tasks: string;
    readonly hosts: string;
    /** Of peers, and of the sets of them. */
    readonly peers: string;
    /** Of the set of peers that are replicas. */
    readonly persistentPeers: string;
  };
}

/** The content lives in object storage, and peers keep replicas of it. */
export const PERSISTENT: DurableKind = {
  name: 'persistent',
  taskType: 'PERSISTENT',
  hasSource: true,
  keys: {
    tasks: 'persistent-tasks',
    hosts: 'persistent-hosts',
    peers: 'persistent-cache-peers-for-persistent-task',
    persistentPeers: 'persistent-peers-for-persistent-task',
  },
};

/** The content was given by a peer and lives in the replicas alone. */
export const PERSISTENT_CACHE: DurableKind = {
  name: 'persistent cache',
  taskType: 'PERSISTENT_CACHE',
  hasSource: false,
  keys: {
    tasks: 'persistent-cache-tasks',
    hosts: 'persistent-cache-hosts',
    peers: 'persistent-cache-peers-for-persistent-cache-task',
    persistentPeers: 'persistent-peers-for-persistent-cache-task',
  },
};

/** The keys of one kind in one scheduler cluster. */
export class DurableKeys {
  readonly #prefix: string;

  constructor(
    clusterId: number,
    private readonly kind: DurableKind,
  ) {
    this.#prefix = `scheduler:scheduler-clusters:${clusterId}:`;
  }

  task(taskId: string): string {
    return `${this.#prefix}${this.kind.keys.tasks}:${taskId}`;
  }

  /** The set of tasks that have fewer replicas than they ask for. No key of a task begins like it. */
  get shortOfReplicas(): string {
    return `${this.#prefix}${this.kind.keys.tasks}-short-of-replicas`;
  }

  peer(peerId: string): string {
    return `${this.#prefix}${this.kind.keys.peers}:${peerId}`;
  }

  peersOfTask(taskId: string): string {
    return `${this.task(taskId)}:${this.kind.keys.peers}`;
  }

  persistentPeersOfTask(taskId: string): string {
    return `${this.task(taskId)}:${this.kind.keys.persistentPeers}`;
  }

  peersOfHost(hostId: string): string {
    return `${this.host(hostId)}:${this.kind.keys.peers}`;
  }

  host(hostId: string): string {
    return `${this.hosts}:${hostId}`;
  }

  /** The set of all hosts. */
  get hosts(): string {
    return `${this.#prefix}${this.kind.keys.hosts}`;
  }
}
