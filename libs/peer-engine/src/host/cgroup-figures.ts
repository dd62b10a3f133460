import type { commonV2 } from '@dragonfly/proto';
import { numbersByName, type SystemFiles } from './system-files.js';

const ROOT = '/sys/fs/cgroup';

export interface CgroupSample {
  readonly atMs: number;
  readonly cpuUsedMicroseconds: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

export interface CgroupFigures {
  readonly sample: CgroupSample;
  readonly cpu?: commonV2.CgroupCPU;
  readonly memory?: commonV2.CgroupMemory;
  readonly disk?: commonV2.CgroupDisk;
}

/**
 * Limits and use of the control group (version 2) this process lives in.
 * @returns undefined outside a container: the root group has no limits to tell
 */
export async function readCgroup(
  files: SystemFiles,
  nowMs: number,
  last: CgroupSample | undefined,
): Promise<CgroupFigures | undefined> {
  const [cpuMax, cpuStat, memoryMax, memoryCurrent, ioStat] = await Promise.all(
    ['cpu.max', 'cpu.stat', 'memory.max', 'memory.current', 'io.stat'].map((name) => files.read(`${ROOT}/${name}`)),
  );
  if (cpuMax === undefined && memoryMax === undefined) return undefined;
  const io = sumOfIo(ioStat ?? '');
  const sample: CgroupSample = {
    atMs: nowMs,
    cpuUsedMicroseconds: numbersByName(cpuStat ?? '').get('usage_usec') ?? 0,
    ...io,
  };
  const elapsedMs = last === undefined ? 0 : nowMs - last.atMs;
  const [quotaText = 'max', periodText = '100000'] = (cpuMax ?? '').trim().split(/\s+/);
  const quota = quotaText === 'max' || quotaText === '' ? -1 : Number(quotaText);
  const period = Number(periodText);
  const usedMicroseconds = sample.cpuUsedMicroseconds - (last?.cpuUsedMicroseconds ?? 0);
  const cores = quota > 0 ? quota / period : 1;
  const cpuPercent = elapsedMs > 0 ? (usedMicroseconds / (elapsedMs * 1000) / cores) * 100 : 0;
  const limit = memoryMax === undefined || memoryMax.trim() === 'max' ? -1n : BigInt(memoryMax.trim());
  const usage = BigInt((memoryCurrent ?? '0').trim() || '0');
  return {
    sample,
    cpu: { period: BigInt(period || 0), quota: BigInt(quota), usedPercent: atLeastZero(cpuPercent) },
    memory: { limit, usage, usedPercent: limit > 0n ? (Number(usage) / Number(limit)) * 100 : 0 },
    disk: {
      readBandwidth: perSecond(sample.readBytes - (last?.readBytes ?? sample.readBytes), elapsedMs),
      writeBandwidth: perSecond(sample.writtenBytes - (last?.writtenBytes ?? sample.writtenBytes), elapsedMs),
    },
  };
}

/** Lines such as `8:0 rbytes=1 wbytes=2 …`, one a device. */
function sumOfIo(text: string): { readBytes: number; writtenBytes: number } {
  const sum = (key: string): number =>
    [...text.matchAll(new RegExp(`\\b${key}=(\\d+)`, 'g'))].reduce((total, match) => total + Number(match[1]), 0);
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes') };
}

export function perSecond(bytes: number, elapsedMs: number): bigint {
  return elapsedMs > 0 ? BigInt(Math.max(0, Math.round((bytes * 1000) / elapsedMs))) : 0n;
}

function atLeastZero(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}
