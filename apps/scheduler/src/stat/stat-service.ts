import { DfError } from '@dragonfly/errors';
import { asHostId, asPeerId, asTaskId } from '@dragonfly/ids';
import type { commonV2, schedulerV2 } from '@dragonfly/proto';
import type { VolatileTaskKind } from '@dragonfly/scheduling';
import { deletePeer, type SchedulerState } from '../scheduler-state.js';
import { peerRecord, taskRecord } from '../wire/wire-records.js';

/** Looks at and deletes peers and tasks. */
export class StatService {
  constructor(private readonly state: SchedulerState) {}

  /** @throws DfError `not-found` */
  statPeer(request: schedulerV2.StatPeerRequest, kind: VolatileTaskKind = 'standard'): commonV2.Peer {
    const { metrics, resources, hosts } = this.state;
    metrics.statPeer.total.inc();
    const peer = resources.peers.get(asPeerId(request.peerId));
    if (peer?.task.kind !== kind) {
      metrics.statPeer.failure.inc();
      throw new DfError('not-found', `peer ${request.peerId} not found`);
    }
    return peerRecord(peer, hosts);
  }

  /** A peer that is unknown, or is not of the host and task that the request names, is nothing to delete. */
  deletePeer(request: schedulerV2.DeletePeerRequest, kind: VolatileTaskKind = 'standard'): void {
    const { metrics, resources } = this.state;
    metrics.leavePeer.total.inc();
    const peer = resources.peers.get(asPeerId(request.peerId));
    if (peer?.task.kind !== kind || peer.host.id !== request.hostId || peer.task.id !== request.taskId) return;
    deletePeer(this.state, peer);
  }

  /** @throws DfError `not-found` */
  statTask(request: schedulerV2.StatTaskRequest, kind: VolatileTaskKind = 'standard'): commonV2.Task {
    const { metrics, resources } = this.state;
    metrics.statTask.total.inc();
    const task = resources.tasksOf(kind).get(asTaskId(request.taskId));
    if (task === undefined) {
      metrics.statTask.failure.inc();
      throw new DfError('not-found', `task ${request.taskId} not found`);
    }
    return taskRecord(task);
  }

  /**
   * Deletes this host's peers of the task; other hosts keep theirs.
   * @throws DfError `not-found` for an unknown host
   */
  deleteTask(request: schedulerV2.DeleteTaskRequest, kind: VolatileTaskKind = 'standard'): void {
    const { metrics, resources } = this.state;
    metrics.leaveTask.total.inc();
    const host = resources.hosts.get(asHostId(request.hostId));
    if (host === undefined) {
      metrics.leaveTask.failure.inc();
      throw new DfError('not-found', `host ${request.hostId} not found`);
    }
    for (const peer of [...resources.peersOf(host)]) {
      if (peer.task.kind === kind && peer.task.id === request.taskId) deletePeer(this.state, peer);
    }
  }
}
