import { DfError } from '@dragonfly/errors';
import { IdError, taskIdOfBlobDigestUrl, taskIdOfContent, taskIdOfUrl } from '@dragonfly/ids';
import type { commonV2 } from '@dragonfly/proto';

/**
 * The id that a daemon gives the task of this download.
 * @throws DfError `invalid-argument` for a URL that is none
 */
export function taskIdOfDownload(download: commonV2.Download): string {
  const content = download.contentForCalculatingTaskId ?? '';
  if (content !== '') return taskIdOfContent(content);
  if (download.enableTaskIdBasedBlobDigest) {
    const id = taskIdOfBlobDigestUrl(download.url);
    if (id !== undefined) return id;
  }
  try {
    return taskIdOfUrl({
      url: download.url,
      filteredQueryParams: download.filteredQueryParams,
      ...(download.tag === undefined ? {} : { tag: download.tag }),
      ...(download.application === undefined ? {} : { application: download.application }),
      ...(download.pieceLength === undefined ? {} : { pieceLengthBytes: download.pieceLength }),
    });
  } catch (error) {
    if (error instanceof IdError) throw new DfError('invalid-argument', `url: ${error.message}`, { cause: error });
    throw error;
  }
}
