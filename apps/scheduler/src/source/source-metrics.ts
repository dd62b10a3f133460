import { Gauge, type Registry } from 'prom-client';
import { scrapedCounter } from '../metrics/own-metrics.js';

/** What is going on beside the original's metrics: readers of sources, daemons that listen. */
export function registerSourceMetrics(
  registry: Registry,
  read: { readonly leases: () => number; readonly subscribers: () => number; readonly guests: () => number },
): void {
  new Gauge({
    name: 'dragonfly_scheduler_source_leases',
    help: 'Source leases that this scheduler has given and that are held, or being asked for.',
    registers: [registry],
    collect() {
      this.set(read.leases());
    },
  });
  scrapedCounter(
    registry,
    'guest_parents_total',
    'Parents offered here that another scheduler of the cluster serves.',
    read.guests,
  );
  new Gauge({
    name: 'dragonfly_scheduler_push_subscribers',
    help: 'Daemons that listen for parents that become known later.',
    registers: [registry],
    collect() {
      this.set(read.subscribers());
    },
  });
}
