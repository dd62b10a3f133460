import { Counter, Gauge, Histogram, Registry, Summary, collectDefaultMetrics } from 'prom-client';
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
  private readonly requests = new Counter({
    name: 'manager_requests_total',
    help: 'REST requests; url is the pattern of the route.',
    labelNames: ['code', 'method', 'url'] as const,
    registers: [this.registry],
  });
  private readonly durations = new Histogram({
    name: 'manager_request_duration_seconds',
    help: 'Time to answer REST requests; url is the pattern of the route.',
    labelNames: ['code', 'method', 'url'] as const,
    buckets: [0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [this.registry],
  });
  // Sums and counts, as the original's; quantiles of all routes together would say nothing.
  private readonly requestSizes = new Summary({
    name: 'manager_request_size_bytes',
    help: 'Bodies of REST requests.',
    percentiles: [],
    registers: [this.registry],
  });
  private readonly responseSizes = new Summary({
    name: 'manager_response_size_bytes',
    help: 'Bodies of answers to REST requests.',
    percentiles: [],
    registers: [this.registry],
  });

  /** By method, code and route; the registry keeps as many. Finding one by its labels costs more than counting. */
  private readonly requestSeries = new Map<
    string,
    { requests: { inc(): void }; durations: { observe(seconds: number): void } }
  >();

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: 'dragonfly_manager_version',
      help: 'Version of this process; the value is always 1.',
      labelNames: ['major', 'minor', 'git_version', 'git_commit', 'platform', 'build_time', 'node_version'] as const,
      registers: [this.registry],
    }).set(
      {
        ...buildLabels(version),
        git_version: version,
        platform: `${process.platform}/${process.arch}`,
        node_version: process.version,
      },
      1,
    );
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

  observeRequest({ method, route, code, durationMs, requestBytes, responseBytes }: ObservedRequest): void {
    const key = `${method} ${code} ${route}`;
    let series = this.requestSeries.get(key);
    if (!series) {
      const labels = { code: String(code), method, url: route };
      series = { requests: this.requests.labels(labels), durations: this.durations.labels(labels) };
      this.requestSeries.set(key, series);
    }
    series.requests.inc();
    series.durations.observe(durationMs / 1_000);
    this.requestSizes.observe(requestBytes);
    this.responseSizes.observe(responseBytes);
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

/** One answered REST request. */
export interface ObservedRequest {
  readonly method: string;
  /** Pattern of the route, never the path with its ids. */
  readonly route: string;
  readonly code: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** What the original's builds know of themselves; a working copy has neither commit nor time. */
function buildLabels(version: string): { major: string; minor: string; git_commit: string; build_time: string } {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return { major, minor, git_commit: 'unknown', build_time: 'unknown' };
}

/** Version and commit hash together. */
const MAX_VERSION_LENGTH = 100;
/** Different versions that get counters of their own. */
const MAX_VERSIONS = 100;
