import { hostId, pieceCount, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2 } from '@dragonfly/proto';
import { embeddedScheduler, type SchedulerCore } from '@dragonfly/scheduler/embedded';
import { Download } from '../daemon/download.js';
import { SimulatedHost } from '../daemon/simulated-host.js';
import { SimulatedSeeds } from '../daemon/simulated-seeds.js';
import type { Content, World } from '../daemon/world.js';
import { Topology } from '../network/topology.js';
import { randomOf } from '../random.js';
import type { LoadedScenario } from '../scenario/load.js';
import { clockOf, EventQueue, START_MS } from '../time/event-queue.js';
import { type Arrival, arrivalsOf } from './arrivals.js';
import { lowerBound } from './lower-bound.js';
import type { RunResult } from './result.js';
import { jainIndex, mean, quantile } from './statistics.js';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const CURVE_POINTS = 101;
/** Happenings between two breaths: promises of the scheduler's code (probes of seeds) go on then. */
const STEPS_BETWEEN_BREATHS = 20_000;
/** Random numbers of different concerns, so that one does not shift another. */
const STREAM = { topology: 0, arrivals: 1, scheduler: 2, daemons: 3, churn: 4, ids: 5 } as const;

export interface SimulationOptions {
  readonly loaded: LoadedScenario;
  /** A built-in name, or the path of a plugin module. */
  readonly strategy: string;
  readonly seed: number;
  /** Downloads that have ended, of how many. */
  readonly onProgress?: (ended: number, total: number) => void;
}

/** Runs a scenario once, in virtual time. */
export async function simulate(options: SimulationOptions): Promise<RunResult> {
  const simulation = await Simulation.create(options);
  return simulation.run();
}

interface Ended {
  readonly arrival: Arrival;
  readonly doneMs: number;
}

class Simulation {
  readonly #queue: EventQueue;
  readonly #ended: Ended[] = [];
  readonly #cutOff = new Map<SimulatedHost, Arrival[]>();
  #cutOffCount = 0;
  #schedulerMs = 0;
  /** In calls that answered somebody. */
  #answeringMs = 0;
  #schedulerDepth = 0;
  #messages = 0;
  readonly #heapBefore: number;

  private constructor(
    private readonly options: SimulationOptions,
    private readonly world: World,
    private readonly hosts: readonly SimulatedHost[],
    private readonly contents: readonly Content[],
    private readonly arrivals: readonly Arrival[],
    private readonly decisions: () => Promise<number>,
    meter: { measure: (run: () => void) => void },
  ) {
    this.#queue = world.queue;
    this.#heapBefore = heapBytes();
    meter.measure = (run) => {
      this.#measure(run);
    };
  }

  static async create(options: SimulationOptions): Promise<Simulation> {
    const { loaded, seed, strategy } = options;
    const { scenario } = loaded;
    const queue = new EventQueue();
    const clock = clockOf(queue);
    const topology = new Topology(scenario, randomOf(seed, STREAM.topology));
    const contents = contentsOf(scenario);
    const seeds = topology.seeds.map((place, index) =>
      makeHost(`172.16.0.${index + 1}`, `seed-${index}`, true, place, {
        uploadMbit: place.up.bytesPerMs / 125,
        downloadMbit: place.down.bytesPerMs / 125,
        damagedPieces: 0,
      }),
    );
    const hosts = topology.hosts.map(({ place, kind }, index) =>
      makeHost(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, `host-${index}`, false, place, kind),
    );
    const meter = {
      measure: (run: () => void): void => {
        run();
      },
    };
    const gateway = new SimulatedSeeds(
      seeds,
      new Map(contents.map((content) => [content.taskId, content])),
      () => world,
    );
    const core = await embeddedScheduler({
      strategy,
      ...scenario.scheduler,
      clock,
      random: randomOf(seed, STREAM.scheduler),
      seeds: gateway,
    });
    const ids = randomOf(seed, STREAM.ids);
    const world: World = {
      scenario,
      queue,
      topology,
      random: randomOf(seed, STREAM.daemons),
      hostsById: new Map([...seeds, ...hosts].map((host) => [host.id, host])),
      core,
      traffic: { fromSource: 0, fromSeeds: 0, fromPeers: 0, betweenIdcs: 0, wasted: 0 },
      counts: { answers: 0 },
      inScheduler: (run) => {
        let result: ReturnType<typeof run> | undefined;
        meter.measure(() => {
          result = run();
        });
        return result as ReturnType<typeof run>;
      },
      nextPeerId: (host) => `${host.ip}-${host.hostname}-${uuidOf(ids)}${host.isSeed ? '-seed' : ''}`,
    };
    for (const host of [...seeds, ...hosts]) core.hosts.announce({ host: announcementOf(host), interval: undefined });
    // The seeds are probed; the answers are there at once.
    await breath();
    core.garbage.start();
    const arrivals = arrivalsOf(loaded, hosts.length, randomOf(seed, STREAM.arrivals));
    return new Simulation(options, world, hosts, contents, arrivals, () => decisionsOf(core), meter);
  }

  async run(): Promise<RunResult> {
    const { world, arrivals } = this;
    const startedAt = performance.now();
    for (const arrival of arrivals) {
      this.#queue.after(arrival.atMs, () => {
        this.#begin(arrival);
      });
    }
    this.#planChurn();
    const deadlineMs = START_MS + world.scenario.deadlineSeconds * 1000;
    let peakRss = 0;
    for (let steps = 1; this.#ended.length < arrivals.length && this.#queue.nowMs < deadlineMs; steps++) {
      if (!this.#queue.step()) break;
      if (steps % STEPS_BETWEEN_BREATHS !== 0) continue;
      peakRss = Math.max(peakRss, process.memoryUsage.rss());
      this.options.onProgress?.(this.#ended.length, arrivals.length);
      await breath();
    }
    peakRss = Math.max(peakRss, process.memoryUsage.rss());
    const wallSeconds = (performance.now() - startedAt) / 1000;
    const heapMib = (heapBytes() - this.#heapBefore) / MIB;
    const decisions = await this.decisions();
    world.core.stop();
    return this.#result(decisions, {
      wallSeconds,
      schedulerSeconds: this.#schedulerMs / 1000,
      messages: this.#messages,
      decisionsPerSecond: world.counts.answers / (this.#answeringMs / 1000),
      heapMib,
      peakRssMib: peakRss / MIB,
    });
  }

  /** The scheduler's code may lead back into the model and to the scheduler again: only the outermost call counts. */
  #measure(run: () => void): void {
    this.#messages += 1;
    if (this.#schedulerDepth > 0) {
      run();
      return;
    }
    this.#schedulerDepth += 1;
    const startedAt = performance.now();
    const answersBefore = this.world.counts.answers;
    try {
      run();
    } finally {
      const tookMs = performance.now() - startedAt;
      this.#schedulerMs += tookMs;
      if (this.world.counts.answers > answersBefore) this.#answeringMs += tookMs;
      this.#schedulerDepth -= 1;
    }
  }

  #begin(arrival: Arrival): void {
    const host = this.hosts[arrival.host];
    const content = this.contents[arrival.task];
    if (host === undefined || content === undefined) throw new Error('no such host or task');
    if (!host.isUp) {
      this.#cutOff.set(host, [...(this.#cutOff.get(host) ?? []), arrival]);
      return;
    }
    const download = new Download(this.world, host, content, false, (outcome) => {
      if (outcome === 'succeeded') {
        this.#ended.push({ arrival, doneMs: this.#queue.nowMs - START_MS });
        return;
      }
      this.#cutOffCount += 1;
      this.#cutOff.set(host, [...(this.#cutOff.get(host) ?? []), arrival]);
    });
    download.start();
  }

  #planChurn(): void {
    const { churn } = this.world.scenario;
    if (churn === undefined) return;
    const random = randomOf(this.options.seed, STREAM.churn);
    for (const host of this.hosts) {
      if (random() >= churn.share) continue;
      const atMs = random() * churn.withinSeconds * 1000;
      this.#queue.after(atMs, () => {
        this.#crash(host);
      });
      this.#queue.after(atMs + churn.awaySeconds * 1000, () => {
        this.#comeBack(host);
      });
    }
  }

  #crash(host: SimulatedHost): void {
    host.isUp = false;
    for (const download of [...host.downloads]) download.crash();
    for (const child of [...host.children]) child.parentCrashed(host);
  }

  #comeBack(host: SimulatedHost): void {
    host.isUp = true;
    this.world.inScheduler(() => {
      this.world.core.hosts.announce({ host: announcementOf(host), interval: undefined });
    });
    const again = this.#cutOff.get(host) ?? [];
    this.#cutOff.delete(host);
    for (const arrival of again) this.#begin(arrival);
  }

  #result(decisions: number, timing: RunResult['timing']): RunResult {
    const { scenario, topology, traffic } = this.world;
    const { arrivals } = this;
    const first = Math.min(...arrivals.map(({ atMs }) => atMs));
    const times = this.#ended.map(({ arrival, doneMs }) => (doneMs - arrival.atMs) / 1000).sort((a, b) => a - b);
    const bound = lowerBound(scenario, topology, arrivals);
    const wantedBytes = new Set(arrivals.map(({ task }) => task)).size * scenario.content.sizeMib * MIB;
    const intact = traffic.fromSource + traffic.fromSeeds + traffic.fromPeers;
    return {
      scenario: scenario.name,
      strategy: this.options.strategy,
      seed: this.options.seed,
      hosts: this.hosts.length,
      downloads: {
        total: arrivals.length,
        succeeded: this.#ended.length,
        unfinished: arrivals.length - this.#ended.length,
        cutOff: this.#cutOffCount,
      },
      makespanSeconds: round((Math.max(0, ...this.#ended.map(({ doneMs }) => doneMs)) - first) / 1000),
      lowerBoundSeconds: round(bound.makespanMs / 1000),
      boundBecause: bound.because,
      completionSeconds: {
        mean: round(mean(times)),
        p50: round(quantile(times, 0.5)),
        p99: round(quantile(times, 0.99)),
      },
      sourceRatio: round(traffic.fromSource / wantedBytes),
      crossIdcGib: round(traffic.betweenIdcs / GIB),
      wastedGib: round(traffic.wasted / GIB),
      uploadFairness: round(jainIndex(this.hosts.map(({ uploadedBytes }) => uploadedBytes))),
      shareFrom: {
        source: round(traffic.fromSource / intact),
        seeds: round(traffic.fromSeeds / intact),
        peers: round(traffic.fromPeers / intact),
      },
      decisions,
      completionCurve: Array.from({ length: CURVE_POINTS }, (_, index) =>
        round(quantile(times, index / (CURVE_POINTS - 1))),
      ),
      timing,
    };
  }
}

function contentsOf({ name, content }: LoadedScenario['scenario']): Content[] {
  return Array.from({ length: content.tasks }, (_, number) => {
    const url = `http://origin.example/${name}/${number}`;
    const sizeBytes = content.sizeMib * MIB;
    const pieceBytes = content.pieceMib * MIB;
    return {
      number,
      url,
      taskId: taskIdOfUrl({ url }),
      sizeBytes,
      pieceBytes,
      pieceCount: pieceCount(sizeBytes, pieceBytes),
    };
  });
}

function makeHost(
  ip: string,
  hostname: string,
  isSeed: boolean,
  place: SimulatedHost['place'],
  kind: SimulatedHost['kind'],
): SimulatedHost {
  return new SimulatedHost(hostId(ip, hostname, isSeed), ip, hostname, isSeed, place, kind);
}

function announcementOf(host: SimulatedHost): commonV2.Host {
  return commonV2.Host.fromPartial({
    id: host.id,
    type: host.isSeed ? 1 : 0,
    hostname: host.hostname,
    name: host.hostname,
    ip: host.ip,
    port: 4000,
    downloadPort: 4000,
    os: 'linux',
    platform: 'linux',
    network: {
      idc: host.place.idc.name,
      location: `${host.place.idc.name}|${host.place.rack?.name ?? 'core'}`,
      maxTxBandwidth: BigInt(Math.round(host.announcedBits)),
      maxRxBandwidth: BigInt(Math.round(host.kind.downloadMbit * 1e6)),
    },
    build: { gitVersion: 'dfts-simulated' },
  });
}

/** Not from the operating system: a run must be repeatable. */
function uuidOf(random: () => number): string {
  const hex = (digits: number): string =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(6)}${hex(6)}`;
}

/** Of all strategies together, as the scheduler's own metric counts them. */
async function decisionsOf(core: SchedulerCore): Promise<number> {
  const metric = core.state.metrics.registry.getSingleMetric('dragonfly_scheduler_strategy_decisions_total');
  const { values } = (await metric?.get()) ?? { values: [] };
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** Without `--expose-gc` garbage counts too. */
function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Sums of floating point numbers in JSON: a thousandth of a millisecond is precise enough. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
