import { AnnouncePeerRequest, type AnnouncePeerResponse, SchedulerService } from '../gen/scheduler/v2/scheduler.js';
import { encodeCandidateParents } from './candidate-parents.js';
import { decodePieceReport } from './piece-report.js';

/**
 * scheduler.v2.Scheduler for servers: the generated definition but for AnnouncePeer, whose most frequent messages are read
 * and written in a shorter way. The messages are the same, but answers must be complete, as `fromPartial` makes them.
 */
export const fastSchedulerService: typeof SchedulerService = {
  ...SchedulerService,
  announcePeer: {
    ...SchedulerService.announcePeer,
    requestDeserialize: (bytes: Buffer): AnnouncePeerRequest =>
      decodePieceReport(bytes) ?? AnnouncePeerRequest.decode(bytes),
    responseSerialize: (response: AnnouncePeerResponse): Buffer =>
      encodeCandidateParents(response) ?? SchedulerService.announcePeer.responseSerialize(response),
  },
};
