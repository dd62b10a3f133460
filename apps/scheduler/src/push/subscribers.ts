import { DfError } from '@dragonfly/errors';
import { asHostId } from '@dragonfly/ids';
import type { DeepPartial, extPush } from '@dragonfly/proto';
import type { ServerStream } from '@dragonfly/rpc';
import type { HostId } from '@dragonfly/ids';
import type { Resources } from '@dragonfly/scheduling';
import type { AnnouncedHosts } from '../wire/wire-records.js';

/** How daemons of this project name their build. */
const OUR_BUILDS = 'dfts-';
/** News that a daemon has not read yet; of more the oldest is dropped: parents are advice, and more will come. */
const MAX_QUEUED = 256;

type News = DeepPartial<extPush.Push>;

/** The daemons that listen for news, one stream each. */
export class Subscribers {
  readonly #byHost = new Map<HostId, Subscriber>();
  #toldCount = 0;

  constructor(
    private readonly resources: Resources,
    private readonly hosts: AnnouncedHosts,
  ) {}

  get count(): number {
    return this.#byHost.size;
  }

  /** News told since the start, to whomever. */
  get toldCount(): number {
    return this.#toldCount;
  }

  has(hostId: HostId): boolean {
    return this.#byHost.has(hostId);
  }

  /**
   * Serves one stream until it ends. A second one of a host takes the place of the first, which may be half dead.
   * @throws DfError `not-found` for a host that has not announced itself, `failed-precondition` for one that is not ours
   */
  async serve({ hostId }: extPush.PushSubscribeRequest, stream: ServerStream<extPush.Push>): Promise<void> {
    const host = this.resources.hosts.get(asHostId(hostId));
    if (host === undefined) throw new DfError('not-found', `host ${hostId} not found`);
    if (this.hosts.full(host).build?.gitVersion?.startsWith(OUR_BUILDS) !== true) {
      throw new DfError('failed-precondition', `host ${hostId} does not understand pushes`);
    }
    this.#byHost.get(host.id)?.end();
    const subscriber = new Subscriber(stream);
    this.#byHost.set(host.id, subscriber);
    await subscriber.whenOver;
    if (this.#byHost.get(host.id) === subscriber) this.#byHost.delete(host.id);
  }

  /** Tells a host, if it listens. */
  tell(hostId: HostId, news: News): void {
    const subscriber = this.#byHost.get(hostId);
    if (subscriber === undefined) return;
    this.#toldCount += 1;
    subscriber.send(news);
  }

  close(): void {
    for (const subscriber of this.#byHost.values()) subscriber.end();
  }
}

class Subscriber {
  readonly #queue: News[] = [];
  readonly #over = Promise.withResolvers<void>();
  #isBlocked = false;

  constructor(private readonly stream: ServerStream<extPush.Push>) {
    stream.onCancel(() => {
      this.end();
    });
    if (stream.isOver) this.end();
  }

  get whenOver(): Promise<void> {
    return this.#over.promise;
  }

  send(news: News): void {
    if (this.stream.isOver) return;
    if (!this.#isBlocked) {
      this.#write(news);
      return;
    }
    this.#queue.push(news);
    if (this.#queue.length > MAX_QUEUED) this.#queue.shift();
  }

  end(): void {
    this.#queue.length = 0;
    this.#over.resolve();
  }

  #write(news: News): void {
    if (this.stream.send(news)) return;
    this.#isBlocked = true;
    void this.stream.whenWritable().then(() => {
      this.#isBlocked = false;
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#write(next);
        if (this.#isBlocked) return;
      }
    });
  }
}
