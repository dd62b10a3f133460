import { networkInterfaces } from 'node:os';
import type { SystemFiles } from './system-files.js';

/** Distance of two samples. Children weigh their parents by them, and today's client samples once a second. */
const SAMPLE_INTERVAL_MS = 1000;

/** One sample. All rates in bits per second, as `common.v2.Network` carries them. */
export interface NetworkRates {
  readonly maxRxBitsPerSecond: number;
  readonly rxBitsPerSecond: number;
  readonly maxTxBitsPerSecond: number;
  readonly txBitsPerSecond: number;
}

export interface NetworkMonitorOptions {
  readonly files: SystemFiles;
  /** Advertised address; the interface that has it is the one measured. */
  readonly ip: string;
  readonly downloadBytesPerSecond: number;
  readonly uploadBytesPerSecond: number;
  /** @default the interface of this machine that has the address */
  readonly interfaceName?: string;
  /** Milliseconds on a clock that never goes back. @default performance.now */
  readonly now?: () => number;
}

interface Counters {
  readonly atMs: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** Measures the traffic of the interface that carries the advertised address. */
export class NetworkMonitor {
  private readonly listeners = new Set<(rates: NetworkRates) => void>();
  private readonly stopListeners = new Set<() => void>();
  private readonly interfaceName: string | undefined;
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;
  private last: Counters | undefined;
  private current: NetworkRates;

  constructor(private readonly options: NetworkMonitorOptions) {
    this.interfaceName = options.interfaceName ?? interfaceOf(options.ip);
    this.now = options.now ?? (() => performance.now());
    this.current = {
      maxRxBitsPerSecond: options.downloadBytesPerSecond * 8,
      rxBitsPerSecond: 0,
      maxTxBitsPerSecond: options.uploadBytesPerSecond * 8,
      txBitsPerSecond: 0,
    };
  }

  get rates(): NetworkRates {
    return this.current;
  }

  async start(): Promise<void> {
    await this.sample();
    this.timer = setInterval(() => void this.sample(), SAMPLE_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.listeners.clear();
    for (const listener of this.stopListeners) listener();
  }

  /** Calls back once sampling ends. @returns takes it back */
  onStop(listener: () => void): () => void {
    this.stopListeners.add(listener);
    return () => {
      this.stopListeners.delete(listener);
    };
  }

  /** Calls back on every sample. @returns ends it */
  onSample(listener: (rates: NetworkRates) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** Takes one sample now; the timer calls this. */
  async sample(): Promise<void> {
    const { files } = this.options;
    const text = (await files.read('/proc/net/dev')) ?? '';
    const counters: Counters = { atMs: this.now(), ...readCounters(text, this.interfaceName) };
    const speedBytes = await this.linkBytesPerSecond();
    const seconds = this.last === undefined ? 0 : (counters.atMs - this.last.atMs) / 1000;
    const rate = (now: number, before: number): number =>
      seconds > 0 ? Math.round((Math.max(0, now - before) * 8) / seconds) : 0;
    this.current = {
      maxRxBitsPerSecond: Math.min(speedBytes, this.options.downloadBytesPerSecond) * 8,
      rxBitsPerSecond: rate(counters.rxBytes, this.last?.rxBytes ?? 0),
      maxTxBitsPerSecond: Math.min(speedBytes, this.options.uploadBytesPerSecond) * 8,
      txBitsPerSecond: rate(counters.txBytes, this.last?.txBytes ?? 0),
    };
    this.last = counters;
    for (const listener of this.listeners) listener(this.current);
  }

  /** Speed of the link; infinite where the driver does not know it (loopback, virtual interfaces). */
  private async linkBytesPerSecond(): Promise<number> {
    if (this.interfaceName === undefined) return Infinity;
    const megabits = Number(await this.options.files.read(`/sys/class/net/${this.interfaceName}/speed`));
    return megabits > 0 ? (megabits * 1e6) / 8 : Infinity;
  }
}

function interfaceOf(ip: string): string | undefined {
  return Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((address) => address.address === ip),
  )?.[0];
}

/** Sums one interface of `/proc/net/dev`, or all but loopback when the address belongs to none (NAT, a container). */
function readCounters(text: string, interfaceName: string | undefined): { rxBytes: number; txBytes: number } {
  let rxBytes = 0;
  let txBytes = 0;
  for (const line of text.split('\n')) {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    const name = match?.[1];
    if (name === undefined || (interfaceName === undefined ? name === 'lo' : name !== interfaceName)) continue;
    const columns = (match?.[2] ?? '').split(/\s+/).map(Number);
    rxBytes += columns[0] ?? 0;
    txBytes += columns[8] ?? 0;
  }
  return { rxBytes, txBytes };
}
