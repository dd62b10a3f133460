import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import type { commonV2 } from '@dragonfly/proto';
import { perSecond, readCgroup, type CgroupSample } from './cgroup-figures.js';
import { numbersByName, type SystemFiles } from './system-files.js';

/** Jiffies a second in `/proc/stat`; 100 on every Linux that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100;

/** What an announcement says about the machine. */
export interface HostFigures {
  readonly cpu: commonV2.CPU;
  readonly memory: commonV2.Memory;
  readonly disk: commonV2.Disk;
}

interface Sample {
  readonly atMs: number;
  readonly cpu: CpuTicks;
  readonly processMicroseconds: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly cgroup: CgroupSample | undefined;
}

interface CpuTicks {
  readonly total: number;
  readonly idle: number;
  readonly times: commonV2.CPUTimes;
}

/** Reads CPU, memory and disk figures. Rates and percentages cover the time since the previous reading. */
export class HostFigureReader {
  private last: Sample | undefined;

  /** @param storageDir directory whose file system is announced as the disk; must exist */
  constructor(
    private readonly files: SystemFiles,
    private readonly storageDir: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async read(): Promise<HostFigures> {
    const atMs = this.now();
    const [stat, meminfo, io, disk, cgroup] = await Promise.all([
      this.files.read('/proc/stat'),
      this.files.read('/proc/meminfo'),
      this.files.read('/proc/self/io'),
      this.files.fileSystemOf(this.storageDir),
      readCgroup(this.files, atMs, this.last?.cgroup),
    ]);
    const usage = process.cpuUsage();
    const ioNumbers = numbersByName(io ?? '');
    const sample: Sample = {
      atMs,
      cpu: readCpuTicks(stat ?? ''),
      processMicroseconds: usage.user + usage.system,
      readBytes: ioNumbers.get('read_bytes') ?? 0,
      writtenBytes: ioNumbers.get('write_bytes') ?? 0,
      cgroup: cgroup?.sample,
    };
    const before = this.last;
    this.last = sample;
    const elapsedMs = before === undefined ? 0 : atMs - before.atMs;
    return {
      cpu: {
        logicalCount: cpus().length || availableParallelism(),
        physicalCount: physicalCores(stat ?? ''),
        percent: busyPercent(sample.cpu, before?.cpu),
        processPercent:
          before === undefined || elapsedMs <= 0
            ? 0
            : ((sample.processMicroseconds - before.processMicroseconds) / (elapsedMs * 1000)) * 100,
        times: sample.cpu.times,
        cgroup: cgroup?.cpu,
      },
      memory: { ...readMemory(meminfo ?? ''), cgroup: cgroup?.memory },
      disk: {
        total: BigInt(disk.totalBytes),
        free: BigInt(disk.availableBytes),
        used: BigInt(disk.totalBytes - disk.freeBytes),
        usedPercent: share(disk.totalBytes - disk.freeBytes, disk.totalBytes),
        inodesTotal: BigInt(disk.inodesTotal),
        inodesUsed: BigInt(disk.inodesTotal - disk.inodesFree),
        inodesFree: BigInt(disk.inodesFree),
        inodesUsedPercent: share(disk.inodesTotal - disk.inodesFree, disk.inodesTotal),
        readBandwidth: perSecond(sample.readBytes - (before?.readBytes ?? sample.readBytes), elapsedMs),
        writeBandwidth: perSecond(sample.writtenBytes - (before?.writtenBytes ?? sample.writtenBytes), elapsedMs),
        cgroup: cgroup?.disk,
      },
    };
  }
}

/** First line of `/proc/stat`: user nice system idle iowait irq softirq steal guest guest_nice, in ticks. */
function readCpuTicks(text: string): CpuTicks {
  const line = text.split('\n', 1)[0] ?? '';
  const ticks = line.split(/\s+/).slice(1).map(Number);
  const at = (index: number): number => ticks[index] ?? 0;
  const seconds = (index: number): number => at(index) / CLOCK_TICKS_PER_SECOND;
  return {
    // Guest time is part of user time already.
    total: ticks.slice(0, 8).reduce((sum, value) => sum + value, 0),
    idle: at(3) + at(4),
    times: {
      user: seconds(0),
      nice: seconds(1),
      system: seconds(2),
      idle: seconds(3),
      iowait: seconds(4),
      irq: seconds(5),
      softirq: seconds(6),
      steal: seconds(7),
      guest: seconds(8),
      guestNice: seconds(9),
    },
  };
}

function busyPercent(now: CpuTicks, before: CpuTicks | undefined): number {
  const total = now.total - (before?.total ?? 0);
  const idle = now.idle - (before?.idle ?? 0);
  return total > 0 ? share(total - idle, total) : 0;
}

/** Threads of a core share it; without better knowledge a logical CPU counts as a core. */
function physicalCores(stat: string): number {
  return [...stat.matchAll(/^cpu\d+ /gm)].length || availableParallelism();
}

function readMemory(text: string): Omit<commonV2.Memory, 'cgroup'> {
  const kilobytes = numbersByName(text);
  const bytes = (name: string, fallback: number): number => (kilobytes.get(name) ?? fallback / 1024) * 1024;
  const total = bytes('MemTotal', totalmem());
  const free = bytes('MemFree', freemem());
  const available = bytes('MemAvailable', free);
  return {
    total: BigInt(total),
    free: BigInt(free),
    available: BigInt(available),
    used: BigInt(total - available),
    usedPercent: share(total - available, total),
    processUsedPercent: share(process.memoryUsage.rss(), total),
  };
}

/** Percentage within 0..100, as the receivers' validation demands. */
function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.max(0, (part / whole) * 100)) : 0;
}
