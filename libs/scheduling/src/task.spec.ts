import { aHost, aPeer, aTask } from './testing/index.js';

const MIB = 1024 * 1024;

describe('graph of a task', () => {
  it('puts the load of an edge on the parent and takes exactly it off again', () => {
    const task = aTask();
    const parent = aPeer({ task, state: 'Succeeded' });
    const child = aPeer({ task, concurrentPieceCount: 5 });
    task.attachToParents(child, [parent]);
    expect(parent.host).toMatchObject({
      uploadCount: 1,
      concurrentUploadCount: 1,
      txBits: 4 * MIB * 5 * 8,
      concurrentUploadPieceCount: 5,
      uploadContentBytes: 40 * MIB,
    });
    // The length became known otherwise in between: what was added is what goes.
    task.contentLengthBytes = 1;
    task.detachFromParents(child);
    expect(parent.host).toMatchObject({
      uploadCount: 1,
      concurrentUploadCount: 0,
      txBits: 0,
      concurrentUploadPieceCount: 0,
      uploadContentBytes: 0,
    });
    expect(parent.children).toBeUndefined();
  });

  it('removing a peer takes its edges on both sides with it', () => {
    const task = aTask();
    const top = aPeer({ task, state: 'Succeeded' });
    const middle = aPeer({ task, state: 'Running' });
    const bottom = aPeer({ task, state: 'Running' });
    task.attachToParents(middle, [top]);
    task.attachToParents(bottom, [middle]);
    task.removePeer(middle);
    expect(task.peers.has(middle.id)).toBe(false);
    expect(top.children).toBeUndefined();
    expect(bottom.parents).toEqual([]);
    expect(middle.host.concurrentUploadCount).toBe(0);
    expect(task.offerable).toEqual([top]);
  });

  it('knows everybody below a peer, whatever way leads there', () => {
    const task = aTask();
    const [a, b, c, d, e] = Array.from({ length: 5 }, () => aPeer({ task, state: 'Running' })) as [
      ReturnType<typeof aPeer>,
      ReturnType<typeof aPeer>,
      ReturnType<typeof aPeer>,
      ReturnType<typeof aPeer>,
      ReturnType<typeof aPeer>,
    ];
    task.attachToParents(b, [a]);
    task.attachToParents(c, [a]);
    task.attachToParents(d, [b, c]);
    expect(task.descendantsOf(a)).toEqual(new Set([b, c, d]));
    expect(task.descendantsOf(d)?.size).toBe(0);
    expect(task.descendantsOf(e)?.size).toBe(0);
  });
});

describe('peers that can be offered', () => {
  it.each([
    ['a finished peer', { state: 'Succeeded' }, true],
    ['a peer at the source with a piece', { state: 'BackToSource', pieceCount: 1 }, true],
    ['a peer at the source without a piece', { state: 'BackToSource' }, false],
    ['a running normal peer without parents', { state: 'Running', pieceCount: 3 }, false],
    ['a registered peer without parents', { state: 'ReceivedNormal' }, false],
    ['a failed peer', { state: 'Failed', pieceCount: 3 }, false],
    ['a leaving peer', { state: 'Leave', pieceCount: 3 }, false],
  ] as const)('%s: %p', (_name, traits, expected) => {
    const peer = aPeer(traits);
    expect(peer.task.offerable.includes(peer)).toBe(expected);
  });

  it('a running seed with a piece is one even without parents', () => {
    const peer = aPeer({ host: aHost({ isSeed: true }), state: 'Running', pieceCount: 1 });
    expect(peer.task.offerable).toEqual([peer]);
  });

  it('a peer that has just been given parents is one, and stops to be one without them', () => {
    const task = aTask();
    const parent = aPeer({ task, state: 'Succeeded' });
    const child = aPeer({ task });
    task.attachToParents(child, [parent]);
    expect(new Set(task.offerable)).toEqual(new Set([parent, child]));
    task.detachFromParents(child);
    expect(task.offerable).toEqual([parent]);
  });

  it('nobody is one on a host that does not share', () => {
    const peer = aPeer({ host: aHost({ isSharingDisabled: true }), state: 'Succeeded' });
    expect(peer.task.offerable).toEqual([]);
  });

  it('nobody is one while the content length is unknown', () => {
    const task = aTask({ contentLengthBytes: undefined });
    const peer = aPeer({ task, state: 'BackToSource', pieceCount: 4 });
    expect(task.offerable).toEqual([]);
    task.contentLengthBytes = 16 * MIB;
    expect(task.refreshOfferable(peer)).toBe(true);
    expect(task.offerable).toEqual([peer]);
  });

  it('are sampled without repetition, each in the long run as often as the others', () => {
    const task = aTask();
    const peers = Array.from({ length: 6 }, () => aPeer({ task, state: 'Succeeded' }));
    const firsts = new Map(peers.map((peer) => [peer, 0]));
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647; // Park and Miller's generator: repeatable
      return seed / 2_147_483_647;
    };
    for (let round = 0; round < 6000; round++) {
      const sample = peers.flatMap((_, index) => task.drawOfferable(index, random) ?? []);
      expect(task.drawOfferable(peers.length, random)).toBeUndefined();
      expect(new Set(sample).size).toBe(peers.length);
      const [first] = sample;
      if (first !== undefined) firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    for (const count of firsts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
    for (const [index, peer] of task.offerable.entries()) expect(peer.offerableSlot).toBe(index);
  });
});

describe('pieces from the source', () => {
  it('are kept once each and summed', () => {
    const task = aTask({ contentLengthBytes: undefined });
    const piece = { offsetBytes: 0, lengthBytes: 4 * MIB, digest: 'crc32:1', costMs: 3, createdAtMs: 5 };
    task.sourcePieces.add({ ...piece, number: 0 });
    task.sourcePieces.add({ ...piece, number: 1, offsetBytes: 4 * MIB, lengthBytes: 10 });
    task.sourcePieces.add({ ...piece, number: 1, offsetBytes: 4 * MIB, lengthBytes: 10 });
    expect(task.sourcePieces.bytes).toBe(4 * MIB + 10);
    expect(Array.from(task.sourcePieces.values(), ({ number }) => number)).toEqual([0, 1]);
  });
});
