import type { commonV2 } from '@dragonfly/proto';
import type { FoundHost, JobRun, TaskOutcome } from '../jobs/job-run.js';
import type { TaskEnd } from './task-records.js';

/** Error texts say at most so many different reasons. */
const MAX_REASONS = 10;

/**
 * The result of a job as the original manager reads it.
 *
 * A job in which something worked is a success that lists what did not; only then are the lists kept at all. One in which
 * nothing worked is a failure with the reasons.
 */
export function endOfRun(run: JobRun, schedulerClusterId: number): TaskEnd {
  const { end, kind, progress } = run;
  const hasWorked = end?.result === 'succeeded' || (end?.result === 'failed' && progress.succeeded > 0);
  if (!hasWorked) return { state: 'FAILURE', error: errorOf(run) };
  const result =
    kind === 'sync-peers' ? run.hosts.map(goHost) : { ...listsOf(run), scheduler_cluster_id: schedulerClusterId };
  return { state: 'SUCCESS', result: JSON.stringify(result) };
}

function listsOf({ kind, outcomes, hosts }: JobRun): object {
  const succeeded = outcomes.filter((outcome) => outcome.succeeded);
  const failed = outcomes.filter((outcome) => !outcome.succeeded);
  switch (kind) {
    case 'preheat':
      return {
        success_tasks: succeeded.map(({ url, hostname, ip }) => ({ url, hostname, ip })),
        failure_tasks: failed.map(({ url, hostname, ip, description }) => ({ url, hostname, ip, description })),
      };
    case 'delete-task':
      return {
        success_tasks: succeeded.map(hostOfOutcome),
        failure_tasks: failed.map((outcome) => ({ ...hostOfOutcome(outcome), description: outcome.description })),
      };
    case 'get-task':
    case 'sync-peers':
      return { peers: hosts.map(holder) };
  }
}

function errorOf({ end, outcomes }: JobRun): string {
  const reasons = new Set(outcomes.filter(({ succeeded }) => !succeeded).map(({ description }) => description));
  const shown = [...reasons].slice(0, MAX_REASONS).join('; ');
  const description = end?.description ?? '';
  return reasons.size > 1 ? `${description}; all reasons: ${shown}` : description;
}

function hostOfOutcome({ hostname, ip, isSeed }: TaskOutcome): object {
  return { hostname, ip, host_type: isSeed ? 'super' : 'normal' };
}

function holder({ host, peerId, isFinished, createdAt, updatedAt }: FoundHost): object {
  return {
    id: peerId,
    hostname: host.hostname,
    ip: host.ip,
    host_type: host.type === 0 ? 'normal' : 'super',
    created_at: timeText(createdAt),
    updated_at: timeText(updatedAt),
    IsFinished: isFinished,
  };
}

/** A host under the names of the Go struct's fields. Numbers are small enough to be exact. */
function goHost({ host, createdAt, updatedAt }: FoundHost): object {
  return {
    ID: host.id,
    Type: host.type,
    Hostname: host.hostname,
    Name: host.name,
    IP: host.ip,
    Port: host.port,
    DownloadPort: host.downloadPort,
    ProxyPort: host.proxyPort,
    ObjectStoragePort: 0,
    DisableShared: host.disableShared,
    OS: host.os,
    Platform: host.platform,
    PlatformFamily: host.platformFamily,
    PlatformVersion: host.platformVersion,
    KernelVersion: host.kernelVersion,
    Network: goNetwork(host.network),
    Build: {
      GitVersion: host.build?.gitVersion ?? '',
      GitCommit: host.build?.gitCommit ?? '',
      GoVersion: host.build?.goVersion ?? '',
      Platform: host.build?.platform ?? '',
    },
    SchedulerClusterID: Number(host.schedulerClusterId),
    CreatedAt: timeText(createdAt),
    UpdatedAt: timeText(updatedAt),
  };
}

function goNetwork(network: commonV2.Network | undefined): object {
  return {
    TCPConnectionCount: network?.tcpConnectionCount ?? 0,
    UploadTCPConnectionCount: network?.uploadTcpConnectionCount ?? 0,
    Location: network?.location ?? '',
    IDC: network?.idc ?? '',
    MaxRxBandwidth: Number(network?.maxRxBandwidth ?? 0n),
    RxBandwidth: Number(network?.rxBandwidth ?? 0n),
    MaxTxBandwidth: Number(network?.maxTxBandwidth ?? 0n),
    TxBandwidth: Number(network?.txBandwidth ?? 0n),
  };
}

/** Go's zero time where nothing is known. */
function timeText(time: Date | undefined): string {
  return time?.toISOString() ?? '0001-01-01T00:00:00Z';
}
