import type { HostId, PeerId, TaskId } from '@dragonfly/ids';
import { Host, type HostFacts } from './host.js';
import { Peer, type PeerInit, Task, type TaskFacts, type VolatileTaskKind } from './task.js';

/** Everything this scheduler knows: hosts, tasks and peers by id. */
export class Resources {
  readonly hosts = new Map<HostId, Host>();
  /** Standard tasks. */
  readonly tasks = new Map<TaskId, Task>();
  readonly cacheTasks = new Map<TaskId, Task>();
  /** Of all kinds. */
  readonly peers = new Map<PeerId, Peer>();
  readonly #peersByHost = new Map<Host, Set<Peer>>();

  /** The peers of a host. */
  peersOf(host: Host): ReadonlySet<Peer> {
    return this.#peersByHost.get(host) ?? NO_PEERS;
  }

  /** The host with these facts; a known one is brought up to date, also ip and host name. */
  announceHost(id: HostId, facts: HostFacts, announceIntervalMs: number, nowMs: number): Host {
    const known = this.hosts.get(id);
    const host = known ?? new Host(id, facts, nowMs);
    const wasSharingDisabled = host.facts.isSharingDisabled;
    host.facts = facts;
    host.announceIntervalMs = announceIntervalMs;
    host.updatedAtMs = nowMs;
    if (known === undefined) this.hosts.set(id, host);
    if (wasSharingDisabled !== facts.isSharingDisabled) {
      for (const peer of this.peersOf(host)) peer.task.refreshOfferable(peer);
    }
    return host;
  }

  /** Tasks of one kind. */
  tasksOf(kind: VolatileTaskKind): Map<TaskId, Task> {
    return kind === 'cache' ? this.cacheTasks : this.tasks;
  }

  getOrCreateTask(id: TaskId, facts: TaskFacts, nowMs: number, kind: VolatileTaskKind = 'standard'): Task {
    const tasks = this.tasksOf(kind);
    let task = tasks.get(id);
    if (task === undefined) {
      task = new Task(id, facts, nowMs, kind);
      tasks.set(id, task);
    }
    return task;
  }

  createPeer(init: PeerInit, nowMs: number): Peer {
    const peer = new Peer(init, nowMs);
    this.peers.set(peer.id, peer);
    peer.task.addPeer(peer);
    const onHost = this.#peersByHost.get(peer.host);
    if (onHost === undefined) this.#peersByHost.set(peer.host, new Set([peer]));
    else onHost.add(peer);
    return peer;
  }

  /** Forgets the peer; its edges go with it. */
  removePeer(peer: Peer): void {
    this.peers.delete(peer.id);
    const onHost = this.#peersByHost.get(peer.host);
    onHost?.delete(peer);
    if (onHost?.size === 0) this.#peersByHost.delete(peer.host);
    peer.task.removePeer(peer);
  }

  /** Forgets a host that has no peers any more. */
  removeHost(host: Host): void {
    this.hosts.delete(host.id);
  }

  /** Forgets a task that has no peers any more. */
  removeTask(task: Task): void {
    this.tasksOf(task.kind).delete(task.id);
  }
}

const NO_PEERS: ReadonlySet<Peer> = new Set();
