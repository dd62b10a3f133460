import type { RecordFields, StoredRecord } from '@dragonfly/kv';
import { commonV2 } from '@dragonfly/proto';
import { textOf } from './durable-records.js';

// A host's record in the shared store, with the names and forms of Dragonfly's scheduler.

/** Wire numbers of host types and the words the store has for them. */
const HOST_TYPES: readonly string[] = ['normal', 'super', 'strong', 'weak'];

export function hostFields(host: commonV2.Host, intervalMs: number, nowMs: number): RecordFields {
  const { cpu, memory, network, disk, build } = host;
  const values: Record<string, string | number | bigint | undefined> = {
    id: host.id,
    type: HOST_TYPES[host.type] ?? 'normal',
    name: host.name,
    hostname: host.hostname,
    ip: host.ip,
    port: host.port,
    download_port: host.downloadPort,
    proxy_port: host.proxyPort,
    disable_shared: host.disableShared ? 1 : 0,
    os: host.os,
    platform: host.platform,
    platform_family: host.platformFamily,
    platform_version: host.platformVersion,
    kernel_version: host.kernelVersion,
    cpu_logical_count: cpu?.logicalCount ?? 0,
    cpu_physical_count: cpu?.physicalCount ?? 0,
    cpu_percent: cpu?.percent ?? 0,
    cpu_process_percent: cpu?.processPercent ?? 0,
    cpu_times_user: cpu?.times?.user ?? 0,
    cpu_times_system: cpu?.times?.system ?? 0,
    cpu_times_idle: cpu?.times?.idle ?? 0,
    cpu_times_nice: cpu?.times?.nice ?? 0,
    cpu_times_iowait: cpu?.times?.iowait ?? 0,
    cpu_times_irq: cpu?.times?.irq ?? 0,
    cpu_times_softirq: cpu?.times?.softirq ?? 0,
    cpu_times_steal: cpu?.times?.steal ?? 0,
    cpu_times_guest: cpu?.times?.guest ?? 0,
    cpu_times_guest_nice: cpu?.times?.guestNice ?? 0,
    memory_total: memory?.total ?? 0,
    memory_available: memory?.available ?? 0,
    memory_used: memory?.used ?? 0,
    memory_used_percent: memory?.usedPercent ?? 0,
    memory_process_used_percent: memory?.processUsedPercent ?? 0,
    memory_free: memory?.free ?? 0,
    network_tcp_connection_count: network?.tcpConnectionCount ?? 0,
    network_upload_tcp_connection_count: network?.uploadTcpConnectionCount ?? 0,
    network_location: network?.location,
    network_idc: network?.idc,
    network_rx_bandwidth: network?.rxBandwidth ?? 0,
    network_max_rx_bandwidth: network?.maxRxBandwidth ?? 0,
    network_tx_bandwidth: network?.txBandwidth ?? 0,
    network_max_tx_bandwidth: network?.maxTxBandwidth ?? 0,
    disk_total: disk?.total ?? 0,
    disk_free: disk?.free ?? 0,
    disk_used: disk?.used ?? 0,
    disk_used_percent: disk?.usedPercent ?? 0,
    disk_inodes_total: disk?.inodesTotal ?? 0,
    disk_inodes_used: disk?.inodesUsed ?? 0,
    disk_inodes_free: disk?.inodesFree ?? 0,
    disk_inodes_used_percent: disk?.inodesUsedPercent ?? 0,
    disk_write_bandwidth: disk?.writeBandwidth ?? 0,
    disk_read_bandwidth: disk?.readBandwidth ?? 0,
    build_git_version: build?.gitVersion,
    build_git_commit: build?.gitCommit,
    build_go_version: build?.goVersion,
    build_platform: build?.platform,
    scheduler_cluster_id: host.schedulerClusterId,
    announce_interval: Math.round(intervalMs * 1e6),
    // Nothing reads the time of the first announcement; to keep it would take a read before each write.
    created_at: new Date(nowMs).toISOString(),
    updated_at: new Date(nowMs).toISOString(),
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value ?? '')]));
}

/** The parts of a host that choosing parents, reaching it and showing it need. */
export function hostOfFields(record: StoredRecord): commonV2.Host | undefined {
  const text = (field: string): string => textOf(record, field);
  const id = text('id');
  if (id === '') return undefined;
  return commonV2.Host.fromPartial({
    id,
    type: Math.max(0, HOST_TYPES.indexOf(text('type'))),
    name: text('name'),
    hostname: text('hostname'),
    ip: text('ip'),
    port: Number(text('port')) || 0,
    downloadPort: Number(text('download_port')) || 0,
    proxyPort: Number(text('proxy_port')) || 0,
    disableShared: ['1', 'true'].includes(text('disable_shared')),
    os: text('os'),
    platform: text('platform'),
    platformFamily: text('platform_family'),
    platformVersion: text('platform_version'),
    kernelVersion: text('kernel_version'),
    network: {
      idc: text('network_idc'),
      location: text('network_location'),
      maxTxBandwidth: integerOf(text('network_max_tx_bandwidth')),
      maxRxBandwidth: integerOf(text('network_max_rx_bandwidth')),
      txBandwidth: integerOf(text('network_tx_bandwidth')),
      rxBandwidth: integerOf(text('network_rx_bandwidth')),
    },
    disk: {
      total: integerOf(text('disk_total')),
      free: integerOf(text('disk_free')),
      used: integerOf(text('disk_used')),
    },
    build: { gitVersion: text('build_git_version'), gitCommit: text('build_git_commit') },
  });
}

function integerOf(text: string): bigint {
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}
