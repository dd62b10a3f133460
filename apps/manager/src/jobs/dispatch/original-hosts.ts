import { taskIdOfBlobDigestUrl, taskIdOfUrl } from '@dragonfly/ids';
import type { commonV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { SchedulerClients } from './scheduler-clients.js';
import type { WorkOutcome, WorkRun } from './scheduler-work.js';

/** Deadline of a call during which the scheduler asks a registry or all its hosts. */
export const LONG_CALL_DEADLINE_MS = 120_000;

/** Every host that the scheduler knows. */
export async function listHosts(clients: SchedulerClients, run: WorkRun): Promise<commonV2.Host[]> {
  const client = clients.scheduler(run.target);
  const { hosts } = await unary(
    client.listHosts.bind(client),
    {},
    { deadlineMs: LONG_CALL_DEADLINE_MS, signal: run.signal },
  );
  return hosts;
}

/** By which the answers of a scheduler name a host. */
export function nameOf({ ip, hostname }: { ip: string; hostname: string }): string {
  return `${ip} ${hostname}`;
}

/** The id under which hosts keep the content of the download. */
export function taskIdOf(download: commonV2.Download): string {
  const byDigest = download.enableTaskIdBasedBlobDigest ? taskIdOfBlobDigestUrl(download.url) : undefined;
  return (
    byDigest ??
    taskIdOfUrl({
      url: download.url,
      filteredQueryParams: download.filteredQueryParams,
      tag: download.tag,
      application: download.application,
      pieceLengthBytes: download.pieceLength,
    })
  );
}

/** @param failure why it did not succeed; undefined: it did */
export function outcomeOf(
  download: commonV2.Download,
  host: commonV2.Host | undefined,
  failure: string | undefined,
): WorkOutcome {
  return {
    taskId: download.url === '' ? '' : taskIdOf(download),
    url: download.url,
    hostId: host?.id ?? '',
    hostname: host?.hostname ?? '',
    ip: host?.ip ?? '',
    hostType: host?.type ?? 0,
    isSuccess: failure === undefined,
    description: failure ?? '',
    contentLengthBytes: 0,
    costMs: 0,
  };
}
