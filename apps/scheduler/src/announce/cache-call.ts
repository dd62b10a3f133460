import { assertNever } from '@dragonfly/errors';
import { commonV2, type DeepPartial, type schedulerV2 } from '@dragonfly/proto';
import type { StreamCall } from '@dragonfly/rpc';
import type { AnnounceCall } from './peer-session.js';

export type AnnounceCacheCall = StreamCall<schedulerV2.AnnounceCachePeerRequest, schedulerV2.AnnounceCachePeerResponse>;
type CacheReport = NonNullable<schedulerV2.AnnounceCachePeerRequest['request']>;
type Report = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;

/**
 * The announce stream of a cache task as one of a standard task: both kinds say the same in messages of other names, so
 * that one session serves both.
 */
export function asAnnounceCall(call: AnnounceCacheCall): AnnounceCall {
  return {
    get peer() {
      return call.peer;
    },
    get metadata() {
      return call.metadata;
    },
    get signal() {
      return call.signal;
    },
    get isOver() {
      return call.isOver;
    },
    onMessage: (listener) => {
      call.onMessage(({ request, ...ids }) => {
        listener({ ...ids, request: request && reportOf(request) });
      });
    },
    onEnd: (listener) => call.onEnd(listener),
    onCancel: (listener) => call.onCancel(listener),
    pause: () => call.pause(),
    resume: () => call.resume(),
    send: (message) => call.send(cacheAnswer(message)),
    whenWritable: () => call.whenWritable(),
    sendWhenWritable: (message) => call.sendWhenWritable(cacheAnswer(message)),
    end: () => call.end(),
    fail: (status, message, detailsBytes) => call.fail(status, message, detailsBytes),
    failWith: (error, log) => call.failWith(error, log),
  };
}

function reportOf(request: CacheReport): Report {
  switch (request.$case) {
    case 'registerCachePeerRequest':
      return {
        $case: 'registerPeerRequest',
        value: { download: commonV2.Download.fromPartial({ ...request.value, type: commonV2.TaskType.CACHE }) },
      };
    case 'downloadCachePeerStartedRequest':
      return { $case: 'downloadPeerStartedRequest', value: request.value };
    case 'downloadCachePeerBackToSourceStartedRequest':
      return { $case: 'downloadPeerBackToSourceStartedRequest', value: request.value };
    case 'rescheduleCachePeerRequest':
      return {
        $case: 'reschedulePeerRequest',
        value: {
          candidateParents: request.value.candidateParents.map(({ id }) => commonV2.Peer.fromPartial({ id })),
          description: request.value.description,
        },
      };
    case 'downloadCachePeerFinishedRequest':
      return { $case: 'downloadPeerFinishedRequest', value: request.value };
    case 'downloadCachePeerBackToSourceFinishedRequest':
      return { $case: 'downloadPeerBackToSourceFinishedRequest', value: request.value };
    case 'downloadCachePeerFailedRequest':
      return { $case: 'downloadPeerFailedRequest', value: request.value };
    case 'downloadCachePeerBackToSourceFailedRequest':
      return { $case: 'downloadPeerBackToSourceFailedRequest', value: request.value };
    case 'downloadPieceFinishedRequest':
    case 'downloadPieceBackToSourceFinishedRequest':
    case 'downloadPieceFailedRequest':
    case 'downloadPieceBackToSourceFailedRequest':
      return request;
    default:
      return assertNever(request);
  }
}

function cacheAnswer(
  message: DeepPartial<schedulerV2.AnnouncePeerResponse>,
): DeepPartial<schedulerV2.AnnounceCachePeerResponse> {
  const { response } = message;
  switch (response?.$case) {
    case 'emptyTaskResponse':
      return { response: { $case: 'emptyCacheTaskResponse', value: {} } };
    case 'normalTaskResponse':
      return { response: { $case: 'normalCacheTaskResponse', value: response.value } };
    case 'needBackToSourceResponse':
      return { response };
    case 'metadataOnlyResponse':
    case undefined:
      throw new Error('cache tasks know no answer of this kind');
    default:
      return assertNever(response);
  }
}
