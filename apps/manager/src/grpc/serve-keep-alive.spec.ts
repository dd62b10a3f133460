import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { jest } from '@jest/globals';
import { DfError } from '@dragonfly/errors';
import { managerV2 } from '@dragonfly/proto';
import type { InstanceKey, KeepAliveLease } from '../instances/keep-alive.js';
import { serveKeepAlive, type LeaseSource } from './serve-keep-alive.js';

/** A keep-alive call whose messages the test sends. */
class FakeCall extends EventEmitter implements AsyncIterable<managerV2.KeepAliveRequest> {
  private readonly queue: (managerV2.KeepAliveRequest | 'end')[] = [];
  private wake: (() => void) | undefined;

  send(over: Partial<managerV2.KeepAliveRequest> | 'end' = {}): void {
    this.queue.push(
      over === 'end'
        ? over
        : {
            sourceType: managerV2.SourceType.SCHEDULER_SOURCE,
            hostname: 'scheduler-1',
            ip: '10.0.0.1',
            clusterId: 1n,
            ...over,
          },
    );
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<managerV2.KeepAliveRequest, undefined> {
    for (;;) {
      const next = this.queue.shift();
      if (next === 'end') {
        return;
      }
      if (next) {
        yield next;
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    }
  }
}

class FakeLeases implements LeaseSource {
  readonly events: string[] = [];
  readonly stop = new AbortController();
  readonly stopping = this.stop.signal;
  failsTouch = false;

  async open(key: InstanceKey): Promise<KeepAliveLease> {
    this.events.push(`open ${key.kind} ${key.hostname}`);
    return {
      silenceLimitMs: 15_000,
      touch: async () => {
        this.events.push('touch');
        if (this.failsTouch) {
          throw new DfError('internal', 'record not found');
        }
      },
      close: async () => void this.events.push('close'),
    };
  }
}

describe('keep-alive stream', () => {
  let call: FakeCall;
  let leases: FakeLeases;
  let served: Promise<void>;
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  beforeEach(() => {
    call = new FakeCall();
    leases = new FakeLeases();
    served = serveKeepAlive(call, leases);
    // The test looks at the outcome later.
    served.catch(() => undefined);
  });
  afterEach(async () => {
    call.emit('cancelled');
    await served.catch(() => undefined);
  });

  it('opens with the first message, touches with each further one and closes with the stream', async () => {
    call.send();
    call.send();
    call.send();
    call.send('end');
    await served;
    expect(leases.events).toEqual(['open scheduler scheduler-1', 'touch', 'touch', 'close']);
    expect(call.listenerCount('cancelled')).toBe(0);
  });

  it('closes when the caller is gone', async () => {
    call.send({ sourceType: managerV2.SourceType.SEED_PEER_SOURCE });
    await settle();
    call.emit('cancelled');
    await served;
    expect(leases.events).toEqual(['open seed-peer scheduler-1', 'close']);
  });

  it('ends a stream that is silent for too long', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'] });
    try {
      call.send();
      await settle();
      jest.advanceTimersByTime(14_999);
      await settle();
      expect(leases.events).toEqual(['open scheduler scheduler-1']);
      jest.advanceTimersByTime(1);
      await expect(served).rejects.toMatchObject({ code: 'deadline-exceeded' });
      expect(leases.events.at(-1)).toBe('close');
    } finally {
      jest.useRealTimers();
    }
  });

  it('ends at once when the manager stops', async () => {
    call.send();
    await settle();
    leases.stop.abort(new DfError('unavailable', 'stopping'));
    await expect(served).rejects.toMatchObject({ code: 'unavailable' });
    expect(leases.events.at(-1)).toBe('close');
  });

  it('does not begin when the manager is stopping', async () => {
    leases.stop.abort(new DfError('unavailable', 'stopping'));
    const late = serveKeepAlive(new FakeCall(), leases);
    await expect(late).rejects.toMatchObject({ code: 'unavailable' });
    expect(leases.events).toEqual([]);
  });

  it('keeps nothing of the messages that it has handled', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const sent: WeakRef<managerV2.KeepAliveRequest>[] = [];
    async function* messages(): AsyncGenerator<managerV2.KeepAliveRequest, undefined> {
      for (let n = 0; n < 100; n += 1) {
        const message = { sourceType: managerV2.SourceType.SCHEDULER_SOURCE, hostname: 'h', ip: '', clusterId: 1n };
        sent.push(new WeakRef(message));
        yield message;
      }
      // The stream goes on, in silence.
      await new Promise<never>(() => undefined);
      return undefined;
    }
    const open = Object.assign(new EventEmitter(), { [Symbol.asyncIterator]: messages });
    const longServed = serveKeepAlive(open, leases);
    while (sent.length < 100) {
      await settle();
    }
    await settle();
    collectGarbage();
    // The last one is what the stream looks at now.
    expect(sent.slice(0, 99).filter((message) => message.deref() !== undefined)).toEqual([]);
    open.emit('cancelled');
    await longServed;
  });

  it('fails when the instance is gone', async () => {
    leases.failsTouch = true;
    call.send();
    call.send();
    await expect(served).rejects.toMatchObject({ code: 'internal', message: 'record not found' });
    expect(leases.events.at(-1)).toBe('close');
  });

  it.each([
    ['a normal peer', [{ sourceType: managerV2.SourceType.PEER_SOURCE }]],
    ['two instances in one stream', [{}, { hostname: 'scheduler-2' }]],
  ])('refuses %s', async (_name, messages) => {
    for (const message of messages) {
      call.send(message);
    }
    await expect(served).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
