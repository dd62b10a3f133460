import type { Topology } from './topology.js';

/** The clusters as they are now, for every part of the manager that reads them often. */
export abstract class TopologyCache {
  abstract get(): Promise<Topology>;
  /** To be called after each committed change of clusters, links, schedulers or seed peers. */
  abstract invalidate(): Promise<void>;
}
