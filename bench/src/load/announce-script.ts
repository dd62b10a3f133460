import { randomUUID } from 'node:crypto';
import { hostId, peerId, pieceCount, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2, schedulerV2, type DeepPartial } from '@dragonfly/proto';
import { messageFrame } from './http2-connection.ts';
import { joined, type Frames, type Script } from './script.ts';

type Report = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;

const MIB = 1024 * 1024;
const HOSTS = 500;
/** Divides {@link HOSTS}: a host always fetches the same task, so that its messages can be built beforehand. */
const TASKS = 100;
const PIECES = 16;
const PIECE_BYTES = 4 * MIB;
const CONTENT_BYTES = PIECES * PIECE_BYTES;
/** Last digits of a peer's id, which are counted up. */
const COUNTED_DIGITS = 12;

export interface LoadHost {
  readonly id: string;
  readonly ip: string;
  readonly hostname: string;
}

interface Template {
  readonly frames: Frames;
  /** Where the counted digits of the peer's own id stand. */
  readonly ownIds: readonly number[];
  /** Where the parent's id stands. */
  readonly parentIds: readonly number[];
}

interface Templates {
  readonly first: Template;
  readonly rest: Template;
  readonly restAtSource: Template;
}

/** Downloads of 16 pieces as the scheduler sees them: register, answer, started, 16 pieces, finished. */
export class AnnounceScript implements Script {
  readonly path = '/scheduler.v2.Scheduler/AnnouncePeer';
  /** All of one length, as are their ids. */
  readonly hosts: readonly LoadHost[] = Array.from({ length: HOSTS }, (_, index) => {
    const ip = `10.1.${100 + Math.floor(index / 100)}.${100 + (index % 100)}`;
    const hostname = `load-${String(index).padStart(3, '0')}`;
    return { id: hostId(ip, hostname, false), ip, hostname };
  });
  readonly tasks: readonly { readonly url: string; readonly id: string }[];
  private readonly templates: Templates[];
  /** Length of an id of a peer. */
  private readonly idLength: number;

  constructor() {
    this.tasks = Array.from({ length: TASKS }, (_, index) => {
      const url = `http://origin.example/${randomUUID()}/${index}`;
      return { url, id: taskIdOfUrl({ url }) };
    });
    this.templates = this.hosts.map((host, index) => this.templatesOf(host, index));
    const [host] = this.hosts;
    this.idLength = host === undefined ? 0 : peerId(host.ip, host.hostname, false).length;
  }

  first(index: number): Frames {
    return this.stamped(this.templatesAt(index).first, index, undefined);
  }

  rest(index: number, answer: Buffer): Frames {
    const { rest, restAtSource } = this.templatesAt(index);
    const parent = firstParentOf(answer);
    if (parent === undefined) return this.stamped(restAtSource, index, undefined);
    if (parent.length !== this.idLength) throw new Error(`a parent with the strange id ${parent.toString()}`);
    return this.stamped(rest, index, parent);
  }

  private templatesAt(index: number): Templates {
    const found = this.templates[index % HOSTS];
    if (found === undefined) throw new Error('no templates');
    return found;
  }

  private stamped({ frames, ownIds, parentIds }: Template, index: number, parent: Buffer | undefined): Frames {
    const bytes = Buffer.from(frames.bytes);
    const digits = index.toString(16).padStart(COUNTED_DIGITS, '0');
    for (const offset of ownIds) bytes.write(digits, offset, 'latin1');
    if (parent !== undefined) for (const offset of parentIds) bytes.set(parent, offset);
    return { bytes, offsets: frames.offsets };
  }

  private templatesOf(host: LoadHost, index: number): Templates {
    const task = this.tasks[index % TASKS];
    if (task === undefined) throw new Error('no task');
    const ids = { hostId: host.id, taskId: task.id, peerId: peerId(host.ip, host.hostname, false) };
    const parentId = peerId(host.ip, host.hostname, false);
    const template = (reports: readonly DeepPartial<Report>[], isLast: boolean): Template => {
      const frames = joined(
        reports.map((request, place) => {
          const message = schedulerV2.AnnouncePeerRequest.fromPartial({ ...ids, request } as never);
          return messageFrame(
            schedulerV2.AnnouncePeerRequest.encode(message).finish(),
            isLast && place === reports.length - 1,
          );
        }),
      );
      const ownIds = offsetsOf(frames.bytes, ids.peerId).map((at) => at + ids.peerId.length - COUNTED_DIGITS);
      return { frames, ownIds, parentIds: offsetsOf(frames.bytes, parentId) };
    };
    return {
      first: template([registration(task.url)], false),
      rest: template(downloadReports(parentId), true),
      restAtSource: template(sourceReports(), true),
    };
  }
}

function registration(url: string): DeepPartial<Report> {
  return {
    $case: 'registerPeerRequest',
    value: {
      download: {
        url,
        type: commonV2.TaskType.STANDARD,
        priority: commonV2.Priority.LEVEL6,
        schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
        actualPieceLength: BigInt(PIECE_BYTES),
        actualContentLength: BigInt(CONTENT_BYTES),
        actualPieceCount: BigInt(pieceCount(CONTENT_BYTES, PIECE_BYTES)),
      },
    },
  };
}

function downloadReports(parentId: string): DeepPartial<Report>[] {
  return [
    { $case: 'downloadPeerStartedRequest', value: {} },
    ...pieces(parentId).map((piece) => ({ $case: 'downloadPieceFinishedRequest', value: { piece } }) as const),
    { $case: 'downloadPeerFinishedRequest', value: {} },
  ];
}

function sourceReports(): DeepPartial<Report>[] {
  return [
    { $case: 'downloadPeerBackToSourceStartedRequest', value: {} },
    ...pieces(undefined).map(
      (piece) => ({ $case: 'downloadPieceBackToSourceFinishedRequest', value: { piece } }) as const,
    ),
    { $case: 'downloadPeerBackToSourceFinishedRequest', value: {} },
  ];
}

/** @param parentId undefined for pieces from the source */
function pieces(parentId: string | undefined): DeepPartial<commonV2.Piece>[] {
  return Array.from({ length: PIECES }, (_, number) => ({
    number,
    parentId,
    offset: BigInt(number * PIECE_BYTES),
    length: BigInt(PIECE_BYTES),
    digest: 'crc32:1234567890',
    trafficType: parentId === undefined ? commonV2.TrafficType.BACK_TO_SOURCE : commonV2.TrafficType.REMOTE_PEER,
    cost: { seconds: 0n, nanos: 20_000_000 },
    createdAt: new Date(),
  }));
}

function offsetsOf(bytes: Buffer, text: string): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) found.push(at);
  return found;
}

const NORMAL_TASK_RESPONSE = lengthDelimited(2);
const CANDIDATE_PARENT = lengthDelimited(1);
const PEER_ID = lengthDelimited(1);

/**
 * The id of the first parent that an AnnouncePeerResponse names, without decoding all of it.
 * @returns undefined when it names none: the peer has been sent to the source
 */
function firstParentOf(answer: Buffer): Buffer | undefined {
  const parents = field(answer, NORMAL_TASK_RESPONSE);
  const parent = parents && field(parents, CANDIDATE_PARENT);
  return parent && field(parent, PEER_ID);
}

function lengthDelimited(fieldNumber: number): number {
  return (fieldNumber << 3) | 2;
}

/** The value of a field that stands first in its message. */
function field(message: Buffer, tag: number): Buffer | undefined {
  if (message[0] !== tag) return undefined;
  let length = 0;
  let position = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = message[position] ?? 0;
    position += 1;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return message.subarray(position, position + length);
}
