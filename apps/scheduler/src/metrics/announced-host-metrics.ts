import type { commonV2 } from '@dragonfly/proto';
import { Counter, type Registry } from 'prom-client';
import { PREFIX } from './call-counters.js';

const LABELS = [
  'os',
  'platform',
  'platform_family',
  'platform_version',
  'kernel_version',
  'git_version',
  'git_commit',
  'go_version',
  'build_platform',
] as const;
type Labels = Record<(typeof LABELS)[number], string>;

/** Kinds of hosts with series of their own; the values are free text of callers. */
const MAX_KINDS = 256;
/** Longer values are cut. */
const MAX_VALUE_LENGTH = 64;
const OTHER: Labels = Object.freeze(Object.fromEntries(LABELS.map((label) => [label, 'other']))) as Labels;

/** AnnounceHost calls by what the host runs. Beyond {@link MAX_KINDS} kinds every label says `other`. */
export class AnnouncedHostMetrics {
  readonly #total: Counter<(typeof LABELS)[number]>;
  readonly #failure: Counter<(typeof LABELS)[number]>;
  readonly #kinds = new Map<string, Labels>();

  constructor(registry: Registry) {
    const counter = (name: string, help: string): Counter<(typeof LABELS)[number]> =>
      new Counter({ name: PREFIX + name, help, labelNames: LABELS, registers: [registry] });
    this.#total = counter('announce_host_total', 'Number of AnnounceHost calls.');
    this.#failure = counter('announce_host_failure_total', 'Number of AnnounceHost calls that failed.');
  }

  announced(host: commonV2.Host | undefined): void {
    this.#total.inc(this.#labelsOf(host));
  }

  failed(host: commonV2.Host | undefined): void {
    this.#failure.inc(this.#labelsOf(host));
  }

  #labelsOf(host: commonV2.Host | undefined): Labels {
    const { build } = host ?? {};
    const values = [
      host?.os,
      host?.platform,
      host?.platformFamily,
      host?.platformVersion,
      host?.kernelVersion,
      build?.gitVersion,
      build?.gitCommit,
      // Clients of today are Rust programs and say so.
      build?.goVersion || build?.rustVersion,
      build?.platform,
    ].map((value) => (value ?? '').slice(0, MAX_VALUE_LENGTH));
    const key = values.join('\0');
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    if (this.#kinds.size >= MAX_KINDS) return OTHER;
    const labels = Object.fromEntries(LABELS.map((label, i) => [label, values[i] ?? ''])) as Labels;
    this.#kinds.set(key, labels);
    return labels;
  }
}
