import fc from 'fast-check';
import { Host, Peer, Piece, Task } from '../gen/common/v2/common.js';
import { AnnouncePeerRequest, AnnouncePeerResponse, SchedulerService } from '../gen/scheduler/v2/scheduler.js';
import { decodePieceReport } from './piece-report.js';
import { fastSchedulerService } from './scheduler-service.js';

const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 40 }));
const uint64 = fc.oneof(fc.bigInt(0n, 2n ** 53n - 1n), fc.bigInt(0n, 2n ** 64n - 1n));

const pieces: fc.Arbitrary<Piece> = fc
  .record(
    {
      number: fc.nat(),
      parentId: text,
      offset: uint64,
      length: uint64,
      digest: text,
      trafficType: fc.nat(3),
      cost: fc.record({ seconds: fc.bigInt(-5n, 10_000n), nanos: fc.integer({ min: -1, max: 999_999_999 }) }),
      createdAt: fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
    },
    { requiredKeys: [] },
  )
  .map((piece) => Piece.fromPartial(piece));

const reports: fc.Arbitrary<AnnouncePeerRequest> = fc
  .record({
    ids: fc.record({ hostId: text, taskId: text, peerId: text }),
    piece: pieces,
    isFromSource: fc.boolean(),
  })
  .map(({ ids, piece, isFromSource }) => ({
    ...ids,
    request: isFromSource
      ? { $case: 'downloadPieceBackToSourceFinishedRequest', value: { piece } }
      : { $case: 'downloadPieceFinishedRequest', value: { piece } },
  }));

function encoded(message: AnnouncePeerRequest): Buffer {
  return Buffer.from(AnnouncePeerRequest.encode(message).finish());
}

/** What a decoder makes of the bytes, or that it refuses them. */
function outcome(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return 'refused';
  }
}

describe('the short way of AnnouncePeer', () => {
  const { requestDeserialize, responseSerialize } = fastSchedulerService.announcePeer;

  it('reads reports about pieces as the generated decoder does', () => {
    fc.assert(
      fc.property(reports, (message) => {
        const bytes = encoded(message);
        expect(requestDeserialize(bytes)).toStrictEqual(AnnouncePeerRequest.decode(bytes));
      }),
    );
  });

  it('takes the short way for a usual report', () => {
    const piece = Piece.fromPartial({
      number: 3,
      parentId: 'parent',
      offset: 12_582_912n,
      length: 4_194_304n,
      digest: 'crc32:1234567890',
      trafficType: 1,
      cost: { seconds: 0n, nanos: 20_000_000 },
      createdAt: new Date('2026-01-02T03:04:05.678Z'),
    });
    const message: AnnouncePeerRequest = {
      hostId: 'host',
      taskId: 'task',
      peerId: 'peer',
      request: { $case: 'downloadPieceFinishedRequest', value: { piece } },
    };
    expect(decodePieceReport(encoded(message))).toStrictEqual(message);
  });

  it('leaves other requests to the generated decoder', () => {
    const message = AnnouncePeerRequest.fromPartial({
      hostId: 'host',
      request: { $case: 'downloadPeerFailedRequest', value: { description: 'no room' } },
    });
    expect(decodePieceReport(encoded(message))).toBeUndefined();
    expect(requestDeserialize(encoded(message))).toStrictEqual(message);
  });

  it('makes of cut and changed bytes what the generated decoder makes of them', () => {
    const change = fc.record({ at: fc.nat(), value: fc.nat(255), length: fc.nat() });
    fc.assert(
      fc.property(reports, change, ({ ...message }, { at, value, length }) => {
        const bytes = encoded(message);
        bytes[at % bytes.length] = value;
        const cut = bytes.subarray(0, length % (bytes.length + 1));
        for (const input of [bytes, cut]) {
          expect(outcome(() => requestDeserialize(input))).toStrictEqual(
            outcome(() => AnnouncePeerRequest.decode(input)),
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('never throws anything but what the generated decoder throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const bytes = Buffer.from(noise);
        expect(outcome(() => requestDeserialize(bytes))).toStrictEqual(
          outcome(() => AnnouncePeerRequest.decode(bytes)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('writes parents so that they are read as they were', () => {
    const hosts = ['a', 'b'].map((id) => Host.fromPartial({ id, hostname: `host-${id}`, ip: '10.0.0.1', port: 4000 }));
    const task = Task.fromPartial({ id: 'task', url: 'http://origin/file', contentLength: 2n ** 64n - 1n });
    const parents = fc.array(
      fc.record({ id: text, state: text, host: fc.constantFrom(...hosts, undefined), hasTask: fc.boolean() }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(parents, (list) => {
        const response = AnnouncePeerResponse.fromPartial({
          response: { $case: 'normalTaskResponse', value: { candidateParents: [] } },
        });
        if (response.response?.$case !== 'normalTaskResponse') throw new Error('unexpected');
        response.response.value.candidateParents = list.map(({ id, state, host, hasTask }) => ({
          ...Peer.fromPartial({ id, state, cost: { seconds: 1n, nanos: 5 }, createdAt: new Date(1000) }),
          host,
          task: hasTask ? task : undefined,
        }));
        const bytes = responseSerialize(response);
        expect(Buffer.isBuffer(bytes)).toBe(true);
        expect(AnnouncePeerResponse.decode(bytes)).toStrictEqual(response);
      }),
    );
  });

  it('writes other answers as the generated encoder does', () => {
    const response = AnnouncePeerResponse.fromPartial({
      response: { $case: 'needBackToSourceResponse', value: { description: 'nobody has it' } },
    });
    expect(responseSerialize(response)).toEqual(SchedulerService.announcePeer.responseSerialize(response));
  });
});
