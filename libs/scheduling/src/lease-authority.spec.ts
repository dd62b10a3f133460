import type { LeaseAuthority, LeaseHolder, LeaseVerdict, SourceReader } from './lease-authority.js';
import { ParentScheduler, type ParentSchedulerOptions } from './parent-scheduler.js';
import { noSeeds } from './seed-gateway.js';
import { defaultStrategy } from './strategy.js';
import type { Peer } from './task.js';
import { aHost, aPeer, aTask, FakeClock } from './testing/index.js';
import type { ScheduleAnswer } from './waiter.js';

/** An authority that answers when the test says so. */
class SlowAuthority implements LeaseAuthority {
  readonly asked: { readonly reader: SourceReader; readonly decide: (verdict: LeaseVerdict) => void }[] = [];
  readonly passed: LeaseHolder[] = [];
  held = 0;

  claim(reader: SourceReader, decide: (verdict: LeaseVerdict) => void): void {
    this.asked.push({ reader, decide });
  }

  grant(): void {
    this.held += 1;
    this.asked.shift()?.decide({
      kind: 'granted',
      handle: {
        passTo: (holder) => this.passed.push(holder),
        release: () => {
          this.held -= 1;
        },
      },
    });
  }

  refuse(hostId: string): void {
    this.asked.shift()?.decide({ kind: 'taken', holder: { hostId, peerId: 'elsewhere' } });
  }
}

function aScheduler(limits: Partial<ParentSchedulerOptions['sourceLimits']> = {}): {
  scheduler: ParentScheduler;
  authority: SlowAuthority;
  clock: FakeClock;
  ask: (peer: Peer) => { answer?: ScheduleAnswer };
} {
  const clock = new FakeClock();
  const authority = new SlowAuthority();
  const scheduler = new ParentScheduler({
    clock,
    random: () => 0.5,
    seeds: noSeeds,
    limits: () => ({ candidateParentLimit: 3, filterParentLimit: 15, peerUploadLimit: 200, seedUploadLimit: 2000 }),
    strategyFor: () => defaultStrategy,
    sourceLimits: {
      stallTimeoutMs: 60_000,
      waitTimeoutMs: 25_000,
      unusableHolderWaitMs: 2000,
      backToSourceCount: 1,
      ...limits,
    },
    authority,
  });
  const ask = (peer: Peer): { answer?: ScheduleAnswer } => {
    const told: { answer?: ScheduleAnswer } = {};
    scheduler.schedule(peer, (answer) => {
      told.answer = answer;
    });
    return told;
  };
  return { scheduler, authority, clock, ask };
}

describe('a lease that an authority has to grant', () => {
  it('is asked for once, and everybody waits until it is granted', () => {
    const { authority, ask } = aScheduler();
    const task = aTask();
    const first = ask(aPeer({ task }));
    const second = ask(aPeer({ task }));
    expect(authority.asked).toHaveLength(1);
    expect([first.answer, second.answer]).toEqual([undefined, undefined]);
    authority.grant();
    expect(first.answer?.kind).toBe('back-to-source');
    expect(second.answer).toBeUndefined();
  });

  it('goes to the next that waits when the one that asked has gone', () => {
    const { scheduler, authority, ask } = aScheduler();
    const task = aTask();
    const gone = aPeer({ task });
    ask(gone);
    const next = aPeer({ task });
    const told = ask(next);
    scheduler.detached(gone);
    authority.grant();
    expect(told.answer?.kind).toBe('back-to-source');
    expect(authority.passed.at(-1)).toEqual({ hostId: next.host.id, peerId: next.id });
  });

  it('is given back when nobody waits any more', () => {
    const { scheduler, authority, ask } = aScheduler();
    const peer = aPeer();
    ask(peer);
    scheduler.detached(peer);
    authority.grant();
    expect(authority.held).toBe(0);
  });

  it('is given back when the holder has ended, failed or gone', () => {
    for (const end of ['failed', 'left', 'removing', 'detached', 'succeeded'] as const) {
      const { scheduler, authority, ask } = aScheduler();
      const peer = aPeer();
      ask(peer);
      authority.grant();
      expect(authority.held).toBe(1);
      peer.apply('DownloadBackToSource', 0);
      if (end === 'failed' || end === 'succeeded') {
        peer.apply(end === 'failed' ? 'DownloadFailed' : 'DownloadSucceeded', 0);
      }
      scheduler[end](peer);
      expect({ end, held: authority.held }).toEqual({ end, held: 0 });
    }
  });

  it('that somebody else has is asked for again while somebody waits', () => {
    const { authority, clock, ask } = aScheduler();
    const told = ask(aPeer());
    authority.refuse('another-host');
    expect(authority.asked).toHaveLength(0);
    clock.advance(500);
    expect(authority.asked).toHaveLength(1);
    authority.refuse('another-host');
    clock.advance(500);
    authority.grant();
    expect(told.answer?.kind).toBe('back-to-source');
  });

  it('that the host itself has elsewhere is carried on at once', () => {
    const { authority, ask } = aScheduler();
    const task = aTask();
    const reader = aPeer({ task });
    const waiting = ask(aPeer({ task }));
    authority.refuse(reader.host.id);
    const told = ask(reader);
    expect(authority.asked[0]?.reader.hostId).toBe(reader.host.id);
    authority.grant();
    expect(told.answer?.kind).toBe('back-to-source');
    expect(waiting.answer).toBeUndefined();
  });

  it('is claimed for the reader that came while another was being refused', () => {
    const { authority, ask } = aScheduler();
    const task = aTask();
    ask(aPeer({ task }));
    const reader = aPeer({ task });
    const told = ask(reader);
    authority.refuse(reader.host.id);
    expect(authority.asked[0]?.reader.hostId).toBe(reader.host.id);
    authority.grant();
    expect(told.answer?.kind).toBe('back-to-source');
  });
});

describe('with one reader allowed', () => {
  it('a peer to which the holder is of no use waits for its turn instead of joining at the source', () => {
    const { scheduler, authority, clock, ask } = aScheduler();
    const task = aTask();
    const holder = aPeer({ task });
    ask(holder);
    authority.grant();
    holder.apply('DownloadBackToSource', 0);
    scheduler.wentToSource(holder);
    const neighbour = aPeer({ task, host: holder.host });
    const told = ask(neighbour);
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1000);
      holder.pieces.add(second);
      scheduler.pieceFinished(holder, clock.nowMs());
    }
    expect(told.answer).toBeUndefined();
    scheduler.detached(holder);
    authority.grant();
    expect(told.answer?.kind).toBe('back-to-source');
  });

  it('one that reads without having been told is the holder when there is none', () => {
    const { scheduler, authority, ask } = aScheduler();
    const task = aTask();
    const holder = aPeer({ task });
    ask(holder);
    authority.grant();
    const wild = aPeer({ task, state: 'BackToSource', host: aHost({ isSharingDisabled: true }) });
    scheduler.wentToSource(wild);
    const told = ask(aPeer({ task }));
    scheduler.detached(holder);
    expect(scheduler.leaseOf(task)?.holder).toBe(wild);
    expect(told.answer).toBeUndefined();
  });
});
