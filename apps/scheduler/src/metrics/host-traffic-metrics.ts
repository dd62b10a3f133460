import type { Host } from '@dragonfly/scheduling';
import { Counter, type Registry } from 'prom-client';
import { PREFIX } from './call-counters.js';

const LABELS = ['type', 'task_type', 'host_type', 'host_id', 'host_ip', 'host_name'] as const;

/** Hosts with series of their own; traffic of further ones is not counted here. */
export const MAX_TRAFFIC_HOSTS = 10_000;

interface Traffic {
  uploadBytes: number;
  downloadBytes: number;
}

/** Bytes that each host has sent to and got from others. A host's series go when it does. */
export class HostTrafficMetrics {
  readonly #hosts = new Map<Host, Traffic>();

  constructor(registry: Registry) {
    const hosts = this.#hosts;
    new Counter({
      name: `${PREFIX}host_traffic`,
      help: 'Bytes downloaded and uploaded by each host.',
      labelNames: LABELS,
      registers: [registry],
      collect() {
        this.reset();
        for (const [{ id, facts }, { uploadBytes, downloadBytes }] of hosts) {
          const labels = {
            task_type: 'STANDARD',
            host_type: facts.isSeed ? 'super' : 'normal',
            host_id: id,
            host_ip: facts.ip,
            host_name: facts.hostname,
          };
          if (uploadBytes > 0) this.inc({ ...labels, type: 'upload' }, uploadBytes);
          if (downloadBytes > 0) this.inc({ ...labels, type: 'download' }, downloadBytes);
        }
      },
    });
  }

  /** @param parent who sent it; absent when it came from the source */
  transferred(child: Host, parent: Host | undefined, bytes: number): void {
    const received = this.#of(child);
    if (received !== undefined) received.downloadBytes += bytes;
    const sent = parent === undefined ? undefined : this.#of(parent);
    if (sent !== undefined) sent.uploadBytes += bytes;
  }

  removed(host: Host): void {
    this.#hosts.delete(host);
  }

  #of(host: Host): Traffic | undefined {
    let traffic = this.#hosts.get(host);
    if (traffic === undefined && this.#hosts.size < MAX_TRAFFIC_HOSTS) {
      traffic = { uploadBytes: 0, downloadBytes: 0 };
      this.#hosts.set(host, traffic);
    }
    return traffic;
  }
}
