import type { commonV2, schedulerV2 } from '@dragonfly/proto';
import { BidiCall, unary } from '@dragonfly/rpc';
import { DfError } from '@dragonfly/errors';
import { aPiece } from './announcements.js';
import type { StreamEnd } from './test-peer.js';

const DEADLINE_MS = 5_000;
const MIB = 1024 * 1024;

export type TaskRecord = commonV2.PersistentTask | commonV2.PersistentCacheTask;
export type PeerRecord = commonV2.PersistentPeer | commonV2.PersistentCachePeer;
export interface Ids {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
}

/** Answers by what they mean, whatever the kind calls them. */
export type DurableAnswer =
  | { readonly kind: 'empty' }
  | { readonly kind: 'parents'; readonly parents: readonly PeerRecord[] }
  | { readonly kind: 'back-to-source' };

export interface UploadFacts {
  readonly replicas?: bigint;
  readonly pieces?: number;
  readonly ttlSeconds?: bigint;
  readonly ttlNanos?: number;
}

type Loose = Record<string, (...parameters: never[]) => unknown>;

/** One kind of durable tasks as a client speaks of it: the same scenario runs on both. */
export class KindClient {
  constructor(
    readonly kind: 'persistent' | 'persistentCache',
    private readonly client: schedulerV2.SchedulerClient,
  ) {}

  private get name(): string {
    return this.kind === 'persistent' ? 'Persistent' : 'PersistentCache';
  }

  uploadStarted(
    ids: Ids,
    { replicas = 1n, pieces = 3, ttlSeconds = 3600n, ttlNanos = 0 }: UploadFacts = {},
  ): Promise<object> {
    return this.call(`upload${this.name}TaskStarted`, {
      ...ids,
      persistentReplicaCount: replicas,
      contentLength: BigInt(pieces * 4 * MIB),
      pieceCount: pieces,
      ttl: { seconds: ttlSeconds, nanos: ttlNanos },
      ...(this.kind === 'persistent'
        ? { url: `s3://bucket/${ids.taskId}`, objectStorage: { region: 'eu', endpoint: 'https://s3.example' } }
        : { tag: 'blue', application: 'app', pieceLength: BigInt(4 * MIB) }),
    });
  }

  uploadFinished(ids: Ids): Promise<TaskRecord> {
    return this.call(`upload${this.name}TaskFinished`, ids) as Promise<TaskRecord>;
  }

  uploadFailed(ids: Ids): Promise<object> {
    return this.call(`upload${this.name}TaskFailed`, { ...ids, description: 'no space' });
  }

  statTask(taskId: string): Promise<TaskRecord> {
    return this.call(`stat${this.name}Task`, { hostId: 'any', taskId }) as Promise<TaskRecord>;
  }

  statPeer(peerId: string): Promise<PeerRecord> {
    return this.call(`stat${this.name}Peer`, { hostId: 'any', taskId: 'any', peerId }) as Promise<PeerRecord>;
  }

  deleteTask(taskId: string): Promise<object> {
    return this.call(`delete${this.name}Task`, { hostId: 'any', taskId });
  }

  deletePeer(ids: Ids): Promise<object> {
    return this.call(`delete${this.name}Peer`, ids);
  }

  announce(ids: Ids): DurableTestPeer {
    const open = (this.client as unknown as Loose)[`announce${this.name}Peer`];
    if (open === undefined) throw new Error('no such method');
    return new DurableTestPeer(
      BidiCall.open<object, { response?: { $case: string; value: { candidateParents?: PeerRecord[] } } }>(
        open.bind(this.client) as never,
        { idleTimeoutMs: 20_000 },
      ),
      this.name,
      ids,
    );
  }

  private call(method: string, request: object): Promise<object> {
    const call = (this.client as unknown as Loose)[method];
    if (call === undefined) throw new Error(`no method ${method}`);
    return unary<object, object>(call.bind(this.client) as never, request, { deadlineMs: DEADLINE_MS });
  }
}

type Answer = { response?: { $case: string; value: { candidateParents?: PeerRecord[] } } };

/** An announce stream that a test plays. */
export class DurableTestPeer {
  readonly #answers: AsyncGenerator<Answer, void, undefined>;

  constructor(
    private readonly call: BidiCall<object, Answer>,
    private readonly name: string,
    readonly ids: Ids,
  ) {
    this.#answers = call.messages();
  }

  register(options: { persistent?: boolean; needBackToSource?: boolean } = {}): Promise<void> {
    const { persistent = false, needBackToSource = false } = options;
    return this.send(`register${this.name}PeerRequest`, {
      persistent,
      pieceCount: 3n,
      ...(this.name === 'Persistent'
        ? { url: 's3://bucket/key', objectStorage: { region: 'eu' }, needBackToSource }
        : { pieceLength: BigInt(4 * MIB) }),
    });
  }

  started(): Promise<void> {
    return this.send(`download${this.name}PeerStartedRequest`, {});
  }

  piece(number: number, parentId: string): Promise<void> {
    return this.send('downloadPieceFinishedRequest', { piece: aPiece(number, { parentId, trafficType: 1 }) });
  }

  pieceFailed(number: number, parentId: string): Promise<void> {
    return this.send('downloadPieceFailedRequest', { pieceNumber: number, parentId, temporary: true });
  }

  reschedule(candidateParents: readonly PeerRecord[]): Promise<void> {
    return this.send(`reschedule${this.name}PeerRequest`, { candidateParents });
  }

  finished(): Promise<void> {
    return this.send(`download${this.name}PeerFinishedRequest`, {});
  }

  failed(): Promise<void> {
    return this.send(`download${this.name}PeerFailedRequest`, { description: 'no pieces' });
  }

  send($case: string, value: object): Promise<void> {
    return this.call.send({ ...this.ids, request: { $case, value } });
  }

  sendNothing(): Promise<void> {
    return this.call.send({ ...this.ids });
  }

  cancel(): void {
    this.call.cancel();
  }

  async answer(): Promise<DurableAnswer> {
    const next = await this.#answers.next();
    const response = next.done === true ? undefined : next.value.response;
    if (response === undefined) throw new Error('the stream ended without an answer');
    if (response.$case.startsWith('empty')) return { kind: 'empty' };
    if (response.$case === 'needBackToSourceResponse') return { kind: 'back-to-source' };
    return { kind: 'parents', parents: response.value.candidateParents ?? [] };
  }

  async parents(): Promise<readonly PeerRecord[]> {
    const answer = await this.answer();
    if (answer.kind !== 'parents') throw new Error(`expected parents, got ${answer.kind}`);
    return answer.parents;
  }

  async end(): Promise<StreamEnd> {
    try {
      const next = await this.#answers.next();
      if (next.done !== true) throw new Error(`expected the end, got ${next.value.response?.$case}`);
      return 'OK';
    } catch (caught) {
      if (!(caught instanceof DfError)) throw caught;
      return { code: caught.code, message: caught.message };
    }
  }
}
