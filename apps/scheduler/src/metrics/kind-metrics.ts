import { Counter, type Registry } from 'prom-client';
import { type CallCounters, callCounters, PREFIX } from './call-counters.js';

const LABELS = ['host_type'] as const;

/** Something that peers do and its failures, by kind of host. */
export interface HostTypeCounters {
  readonly total: Counter<'host_type'>;
  readonly failure: Counter<'host_type'>;
}

/** What is counted about tasks of one kind that are not standard ones. */
export class KindMetrics {
  readonly announcePeer: CallCounters;
  readonly statPeer: CallCounters;
  readonly deletePeer: CallCounters;
  readonly uploadTaskStarted: CallCounters;
  readonly uploadTaskFinished: CallCounters;
  readonly uploadTaskFailed: CallCounters;
  readonly statTask: CallCounters;
  readonly deleteTask: CallCounters;
  readonly registerPeer: HostTypeCounters;
  readonly downloadPeerStarted: HostTypeCounters;
  readonly downloadPeerFinished: HostTypeCounters;
  readonly downloadPieceFinished: HostTypeCounters;

  constructor(
    private readonly registry: Registry,
    kind: 'persistent' | 'persistent_cache',
  ) {
    this.announcePeer = this.#calls(`announce_${kind}_peer`);
    this.statPeer = this.#calls(`stat_${kind}_peer`);
    this.deletePeer = this.#calls(`delete_${kind}_peer`);
    this.uploadTaskStarted = this.#calls(`upload_${kind}_task_started`);
    this.uploadTaskFinished = this.#calls(`upload_${kind}_task_finished`);
    // The failures of these calls have irregular names in the original, and dashboards read those.
    const failedFailure = kind === 'persistent' ? 'upload_peer_failed_failure' : 'upload_cache_peer_failed_failure';
    this.uploadTaskFailed = this.#calls(`upload_${kind}_task_failed`, `${failedFailure}_total`);
    this.statTask = this.#calls(`stat_${kind}_task`);
    this.deleteTask = this.#calls(`delete_${kind}_task`);
    this.registerPeer = this.#peers(`register_${kind}_peer`);
    this.downloadPeerStarted = this.#peers(`download_${kind}_peer_started`);
    this.downloadPeerFinished = this.#peers(`download_${kind}_peer_finished`);
    this.downloadPieceFinished = this.#peers(`download_${kind}_piece_finished`);
  }

  #calls(name: string, failureName?: string): CallCounters {
    return callCounters(this.registry, name, `Number of ${name.replaceAll('_', ' ')} calls`, failureName);
  }

  #peers(name: string): HostTypeCounters {
    const counter = (suffix: string, help: string): Counter<'host_type'> =>
      new Counter({ name: `${PREFIX}${name}${suffix}`, help, labelNames: LABELS, registers: [this.registry] });
    const what = `Number of ${name.replaceAll('_', ' ')} reports`;
    return { total: counter('_total', `${what}.`), failure: counter('_failure_total', `${what} that failed.`) };
  }
}
