import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { callMetrics } from '@dragonfly/rpc/metrics';

/** The manager's metrics; names that dashboards of the original read are kept. */
export class ManagerMetrics {
  readonly registry = new Registry();
  /** Calls of the gRPC services. */
  readonly calls = callMetrics(this.registry);
  private readonly seenVersions = new Set<string>();

  private readonly searches = new Counter({
    name: 'dragonfly_manager_search_scheduler_cluster_total',
    help: 'Searches for the scheduler cluster of a peer.',
    labelNames: ['version', 'commit'] as const,
    registers: [this.registry],
  });
  private readonly searchFailures = new Counter({
    name: 'dragonfly_manager_search_scheduler_cluster_failure_total',
    help: 'Searches for the scheduler cluster of a peer that failed.',
    labelNames: ['version', 'commit'] as const,
    registers: [this.registry],
  });
  private readonly requests = new Histogram({
    name: 'dragonfly_manager_rest_request_duration_seconds',
    help: 'Time to answer REST requests, by route pattern.',
    labelNames: ['method', 'route', 'code'] as const,
    buckets: [0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [this.registry],
  });

  /** By method, code and route; the registry keeps as many. Finding one by its labels costs more than counting. */
  private readonly requestSeries = new Map<string, { observe(seconds: number): void }>();

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: 'dragonfly_manager_version',
      help: 'Version of this process; the value is always 1.',
      labelNames: ['git_version', 'platform', 'node_version'] as const,
      registers: [this.registry],
    }).set({ git_version: version, platform: process.platform, node_version: process.version }, 1);
  }

  /** Counts a search for schedulers, and its failure. */
  async countSearch<T>(client: { version: string; commit: string }, search: () => Promise<T>): Promise<T> {
    const labels = this.searchLabels(client);
    this.searches.inc(labels);
    try {
      return await search();
    } catch (error) {
      this.searchFailures.inc(labels);
      throw error;
    }
  }

  /** @param route pattern of the route, never the path with its ids */
  observeRequest(method: string, route: string, code: number, durationMs: number): void {
    const key = `${method} ${code} ${route}`;
    let series = this.requestSeries.get(key);
    if (!series) {
      series = this.requests.labels({ method, route, code: String(code) });
      this.requestSeries.set(key, series);
    }
    series.observe(durationMs / 1_000);
  }

  /** Versions are what peers say about themselves: short, and of so many different ones only. */
  private searchLabels({ version, commit }: { version: string; commit: string }): { version: string; commit: string } {
    const key = `${version} ${commit}`;
    if (!this.seenVersions.has(key)) {
      if (key.length > MAX_VERSION_LENGTH || this.seenVersions.size >= MAX_VERSIONS) {
        return { version: 'other', commit: 'other' };
      }
      this.seenVersions.add(key);
    }
    return { version, commit };
  }
}

/** Version and commit hash together. */
const MAX_VERSION_LENGTH = 100;
/** Different versions that get counters of their own. */
const MAX_VERSIONS = 100;
