import { DfError } from '@dragonfly/errors';
import type { commonV2, schedulerV2 } from '@dragonfly/proto';
import { BidiCall } from '@dragonfly/rpc';
import { aDownload, aPiece, type Request, type Response } from './announcements.js';

/** How an announce stream ended: `OK`, or the error's code and text. */
export type StreamEnd = 'OK' | { readonly code: string; readonly message: string };

/** A peer that a test plays, one announce stream. */
export class TestPeer {
  readonly #call: BidiCall<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>;
  readonly #answers: AsyncGenerator<schedulerV2.AnnouncePeerResponse, void, undefined>;
  #pending: Promise<IteratorResult<schedulerV2.AnnouncePeerResponse, void>> | undefined;

  constructor(
    client: schedulerV2.SchedulerClient,
    readonly ids: { readonly hostId: string; readonly taskId: string; readonly peerId: string },
  ) {
    this.#call = BidiCall.open<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
      client.announcePeer.bind(client),
      { idleTimeoutMs: 20_000 },
    );
    this.#answers = this.#call.messages();
  }

  get id(): string {
    return this.ids.peerId;
  }

  async send(request: Request): Promise<void> {
    await this.#call.send({ ...this.ids, request });
  }

  /** A message without its oneof. */
  async sendNothing(): Promise<void> {
    await this.#call.send({ ...this.ids });
  }

  async register(download: commonV2.Download = aDownload()): Promise<void> {
    await this.send({ $case: 'registerPeerRequest', value: { download } });
  }

  async started(): Promise<void> {
    await this.send({ $case: 'downloadPeerStartedRequest', value: {} });
  }

  async sourceStarted(): Promise<void> {
    await this.send({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
  }

  async sourcePiece(number: number, changes: Parameters<typeof aPiece>[1] = {}): Promise<void> {
    await this.send({
      $case: 'downloadPieceBackToSourceFinishedRequest',
      value: { piece: aPiece(number, changes) },
    });
  }

  async piece(number: number, parentId: string): Promise<void> {
    await this.send({
      $case: 'downloadPieceFinishedRequest',
      value: { piece: aPiece(number, { parentId, trafficType: 1 }) },
    });
  }

  async pieceFailed(number: number, parentId: string, temporary = true): Promise<void> {
    await this.send({
      $case: 'downloadPieceFailedRequest',
      value: { pieceNumber: number, parentId, temporary },
    });
  }

  async reschedule(candidateParents: commonV2.Peer[]): Promise<void> {
    await this.send({
      $case: 'reschedulePeerRequest',
      value: { candidateParents, description: 'not all pieces are downloaded from parent' },
    });
  }

  async finished(): Promise<void> {
    await this.send({ $case: 'downloadPeerFinishedRequest', value: {} });
  }

  async sourceFinished(): Promise<void> {
    await this.send({ $case: 'downloadPeerBackToSourceFinishedRequest', value: {} });
  }

  async failed(description = 'max schedule count exceeded'): Promise<void> {
    await this.send({ $case: 'downloadPeerFailedRequest', value: { description } });
  }

  async sourceFailed(description = 'origin says 404'): Promise<void> {
    await this.send({
      $case: 'downloadPieceBackToSourceFailedRequest',
      value: { response: { $case: 'backend', value: { message: 'Not Found', header: {}, statusCode: 404 } } },
    });
    await this.send({ $case: 'downloadPeerBackToSourceFailedRequest', value: { description } });
  }

  halfClose(): void {
    this.#call.finish();
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** The next answer. @throws Error when the stream ends instead */
  async answer(): Promise<Response> {
    const next = await this.#next();
    this.#pending = undefined;
    if (next.done === true || next.value.response === undefined) throw new Error('the stream ended without an answer');
    return next.value.response;
  }

  /** The next answer, which must be parents. @returns them, best first */
  async parents(): Promise<commonV2.Peer[]> {
    const answer = await this.answer();
    if (answer.$case !== 'normalTaskResponse') throw new Error(`expected parents, got ${answer.$case}`);
    return answer.value.candidateParents;
  }

  /** True when an answer has arrived; waits for nothing. */
  async hasAnswer(): Promise<boolean> {
    const marker = Symbol('nothing yet');
    return (await Promise.race([this.#next(), Promise.resolve(marker)])) !== marker;
  }

  /** How the stream ends; there must be no further answer. */
  async end(): Promise<StreamEnd> {
    try {
      const next = await this.#next();
      if (next.done !== true) throw new Error(`expected the end, got ${JSON.stringify(next.value.response?.$case)}`);
      return 'OK';
    } catch (caught) {
      if (!(caught instanceof DfError)) throw caught;
      return { code: caught.code, message: caught.message };
    }
  }

  #next(): Promise<IteratorResult<schedulerV2.AnnouncePeerResponse, void>> {
    this.#pending ??= this.#answers.next();
    // Looked at by whoever asks next; an error must not count as unhandled until then.
    this.#pending.catch(() => undefined);
    return this.#pending;
  }
}
