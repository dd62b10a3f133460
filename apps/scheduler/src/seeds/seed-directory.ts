import { StathatRing } from '@dragonfly/hashring';
import { hostPort } from '@dragonfly/rpc';
import type { HostId } from '@dragonfly/ids';
import type { Clock, Host, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { SeedProbe } from './seed-probe.js';

/** A seed that does not serve yet is asked this often ... */
const FAST_PROBE_INTERVAL_MS = 500;
/** ... for this long after it announced itself, ... */
const FAST_PROBE_SPAN_MS = 30_000;
/** ... and all of them are asked this often. */
const PROBE_INTERVAL_MS = 30_000;

/** How many seeds there are. */
export interface SeedCounts {
  readonly known: number;
  /** In the ring. */
  readonly usable: number;
  /** Not in the ring, but likely to be soon: announced, restarted or lost within the last 30 s. */
  readonly awaited: number;
}

interface Entry {
  readonly host: Host;
  address: string;
  isUsable: boolean;
  fastUntilMs: number;
  timer: Timer | undefined;
  isProbing: boolean;
}

/**
 * The seeds that have announced themselves, and the ring of those that serve.
 *
 * A seed is probed as soon as it announces itself: a real one opens its server only after its announcement was answered,
 * so the first probes may fail. A usable one that announces itself again may have been restarted and is probed too.
 */
export class SeedDirectory {
  readonly #entries = new Map<HostId, Entry>();
  readonly #abort = new AbortController();
  #ring = new StathatRing([]);

  constructor(
    private readonly probe: SeedProbe,
    private readonly clock: Clock,
    private readonly log: Logger,
    /** Called after every change. */
    private readonly onChange: (counts: SeedCounts) => void,
  ) {}

  /** A host has announced itself; hosts that are no seeds (any more) are left alone. */
  announced(host: Host): void {
    if (!host.facts.isSeed) {
      this.removed(host.id);
      return;
    }
    const address = addressOf(host);
    let entry = this.#entries.get(host.id);
    if (entry !== undefined && entry.host !== host) {
      this.removed(host.id);
      entry = undefined;
    }
    if (entry === undefined) {
      entry = { host, address, isUsable: false, fastUntilMs: 0, timer: undefined, isProbing: false };
      this.#entries.set(host.id, entry);
    } else if (entry.address !== address) {
      entry.address = address;
      entry.isUsable = false;
    }
    entry.fastUntilMs = this.clock.nowMs() + FAST_PROBE_SPAN_MS;
    this.#changed();
    this.#probeAfter(entry, 0);
  }

  removed(id: HostId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.timer?.cancel();
    this.#entries.delete(id);
    this.#changed();
  }

  /** A call to the seed has failed to reach it: out of the ring until it answers a probe. */
  unreachable(id: HostId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.fastUntilMs = this.clock.nowMs() + FAST_PROBE_SPAN_MS;
    this.#setUsable(entry, false);
    this.#probeAfter(entry, FAST_PROBE_INTERVAL_MS);
  }

  /** The usable seed that owns the task, those excluded aside. */
  ownerOf(
    taskId: string,
    excluded: ReadonlySet<string>,
  ): { readonly host: Host; readonly address: string } | undefined {
    const ring =
      excluded.size === 0
        ? this.#ring
        : new StathatRing(this.#usable((entry) => !excluded.has(entry.host.id)).map((entry) => entry.address));
    const address = ring.get(taskId);
    if (address === undefined) return undefined;
    const [owner] = this.#usable((entry) => entry.address === address && !excluded.has(entry.host.id));
    return owner;
  }

  close(): void {
    this.#abort.abort();
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    this.#entries.clear();
  }

  #usable(filter: (entry: Entry) => boolean = () => true): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.isUsable && filter(entry));
  }

  #probeAfter(entry: Entry, delayMs: number): void {
    entry.timer?.cancel();
    entry.timer = this.clock.after(delayMs, () => {
      void this.#probe(entry);
    });
  }

  async #probe(entry: Entry): Promise<void> {
    if (entry.isProbing) return;
    entry.isProbing = true;
    const { address } = entry;
    const isServing = await this.probe.isServing(address, this.#abort.signal);
    entry.isProbing = false;
    if (this.#abort.signal.aborted || this.#entries.get(entry.host.id) !== entry) return;
    if (entry.address === address) this.#setUsable(entry, isServing);
    const isAwaited = this.#isAwaited(entry);
    if (!isAwaited) this.#changed();
    this.#probeAfter(entry, isAwaited ? FAST_PROBE_INTERVAL_MS : PROBE_INTERVAL_MS);
  }

  #setUsable(entry: Entry, isUsable: boolean): void {
    if (entry.isUsable === isUsable) return;
    entry.isUsable = isUsable;
    this.log.info(
      { hostId: entry.host.id, address: entry.address },
      isUsable ? 'seed peer is usable' : 'seed peer does not serve',
    );
    if (!isUsable) entry.fastUntilMs = this.clock.nowMs() + FAST_PROBE_SPAN_MS;
    this.#changed();
  }

  #isAwaited(entry: Entry): boolean {
    return !entry.isUsable && this.clock.nowMs() < entry.fastUntilMs;
  }

  #changed(): void {
    const entries = [...this.#entries.values()];
    const usable = entries.filter((entry) => entry.isUsable);
    this.#ring = new StathatRing(usable.map((entry) => entry.address));
    this.onChange({
      known: entries.length,
      usable: usable.length,
      awaited: entries.filter((entry) => this.#isAwaited(entry)).length,
    });
  }
}

/** `ip:port` of a host's gRPC service, IPv6 in brackets. */
export function addressOf(host: Host): string {
  const { ip, port } = host.facts;
  return hostPort(ip, port);
}
