import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { DownloadManager } from './download-manager.js';
import type { DownloadRequest } from './download-request.js';
import { suspectsOf, type OutputRequest, type OutputWriter } from './output.js';
import type { DownloadObserver, DownloadResult } from './task-run.js';

export interface DeliveryServices {
  readonly downloads: Pick<DownloadManager, 'download'>;
  readonly outputs: Pick<OutputWriter, 'deliver'>;
  readonly log: Logger;
}

export interface Delivery {
  readonly request: DownloadRequest;
  readonly digest: string | undefined;
  readonly output: OutputRequest | undefined;
  /** Of a second download. Its `started` is not told: the request has begun long ago. */
  readonly again?: () => Pick<DownloadObserver, 'piece'>;
}

type Outcome = Awaited<ReturnType<OutputWriter['deliver']>>;

/**
 * Checks and delivers what was downloaded. When it has not the digest that the requester knows and ordinary peers had a part in
 * it, it is fetched once more without them: one of them may serve wrong bytes with checksums to match, which nothing but the
 * digest shows. Seed peers and the source are asked as ever, so that a digest that is simply wrong does not make every host
 * of a cluster read the source.
 * @throws DfError as `OutputWriter.deliver`, and why the second download failed
 */
export async function deliver(
  first: DownloadResult,
  { request, digest, output, again }: Delivery,
  { downloads, outputs, log }: DeliveryServices,
  signal: AbortSignal,
): Promise<[DownloadResult, Outcome]> {
  try {
    return [first, await outputs.deliver(first, digest, output, signal)];
  } catch (error) {
    const suspects = suspectsOf(error);
    if (suspects.length === 0) throw error;
    const { message } = DfError.from(error);
    log.warn({ taskId: request.taskId, suspects, reason: message }, 'fetching a content once more without its parents');
    const second = await downloads.download({ ...request, distrusted: suspects }, again?.() ?? {}, signal);
    try {
      return [second, await outputs.deliver(second, digest, output, signal)];
    } catch (caught) {
      const failure = DfError.from(caught);
      if (failure.details['expected'] === undefined) throw failure;
      const text = `${failure.message}; before that it was fetched from others, and had not the digest either`;
      throw new DfError(failure.code, text, { cause: failure, details: failure.details });
    }
  }
}
