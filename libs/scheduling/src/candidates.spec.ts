import { type CandidateLimits, isBadNode, selectParents } from './candidates.js';
import type { Peer } from './task.js';
import { defaultStrategy, type Strategy } from './strategy.js';
import { aHost, aPeer, aTask } from './testing/index.js';

const LIMITS: CandidateLimits = {
  candidateParentLimit: 3,
  filterParentLimit: 15,
  peerUploadLimit: 200,
  seedUploadLimit: 2000,
};
const half = (): number => 0.5;

function select(child: Peer, limits: Partial<CandidateLimits> = {}, strategy: Strategy = defaultStrategy): Peer[] {
  return selectParents(child, { ...LIMITS, ...limits }, strategy, 0, half);
}

describe('selectParents', () => {
  it('gives the best first and not more than the limit', () => {
    const task = aTask();
    const child = aPeer({ task, host: aHost({ idc: 'dc' }) });
    const parents = ['x', 'dc', 'x', 'dc', 'dc', 'x'].map((idc) =>
      aPeer({ task, host: aHost({ idc }), state: 'Succeeded' }),
    );
    const chosen = select(child);
    expect(new Set(chosen)).toEqual(new Set([parents[1], parents[3], parents[4]]));
  });

  it('never offers the peer itself, its own host or a blocked peer', () => {
    const task = aTask();
    const child = aPeer({ task });
    aPeer({ task, host: child.host, state: 'Succeeded' });
    const blocked = aPeer({ task, state: 'Succeeded' });
    child.blockParent(blocked.id);
    expect(select(child)).toEqual([]);
    const good = aPeer({ task, state: 'Succeeded' });
    expect(select(child)).toEqual([good]);
  });

  it('offers a peer whose last piece was slow only when there is no other', () => {
    const task = aTask();
    const child = aPeer({ task, host: aHost({ idc: 'dc' }) });
    const slow = aPeer({ task, host: aHost({ idc: 'dc' }), state: 'Succeeded' });
    for (const cost of [1, 1, 1, 100]) slow.costs.add(cost);
    expect(isBadNode(slow)).toBe(true);
    expect(select(child)).toEqual([slow]);
    const good = aPeer({ task, state: 'Succeeded' });
    expect(select(child)).toEqual([good]);
  });

  it('never closes a cycle', () => {
    const task = aTask();
    const top = aPeer({ task, state: 'Running' });
    const middle = aPeer({ task, state: 'Running' });
    const bottom = aPeer({ task, state: 'Running' });
    task.attachToParents(middle, [top]);
    task.attachToParents(bottom, [middle]);
    expect(select(top)).toEqual([]);
    const other = aPeer({ task, state: 'Succeeded' });
    expect(select(top)).toEqual([other]);
    expect(new Set(select(bottom))).toEqual(new Set([middle, other]));
  });

  it('looks for a parent above the child when too many hang below it to be looked at', () => {
    const task = aTask();
    const source = aPeer({ task, state: 'Succeeded' });
    const top = aPeer({ task, state: 'Running' });
    task.attachToParents(top, [source]);
    for (let index = 0; index < 1100; index++) task.attachToParents(aPeer({ task, state: 'Running' }), [top]);
    const stranger = aPeer({ task, state: 'Running' });
    const deep = aPeer({ task, state: 'Running' });
    task.attachToParents(stranger, [source]);
    task.attachToParents(deep, [stranger]);
    task.detachFromParents(top);
    const chosen = new Set<Peer>();
    for (let round = 0; round < 300; round++) {
      const limits = { ...LIMITS, filterParentLimit: 1000 };
      for (const parent of selectParents(top, limits, defaultStrategy, 0, Math.random)) chosen.add(parent);
    }
    expect(chosen).toEqual(new Set([source, stranger]));
  });

  it('raises everybody below a peer that moves down', () => {
    const task = aTask();
    const [left, right] = [aPeer({ task, state: 'Running' }), aPeer({ task, state: 'Running' })];
    const [leftChild, rightChild] = [aPeer({ task, state: 'Running' }), aPeer({ task, state: 'Running' })];
    task.attachToParents(leftChild, [left]);
    task.attachToParents(rightChild, [right]);
    task.attachToParents(left, [rightChild]);
    expect([right, rightChild, left, leftChild].map(({ level }) => level)).toEqual([0, 1, 2, 3]);
    expect(select(right)).toEqual([]);
  });

  it('prefers hosts below their upload limit, and takes the others when there are no more', () => {
    const task = aTask();
    const full = aPeer({ task, host: aHost({ idc: 'dc' }), state: 'Succeeded' });
    full.host.concurrentUploadCount = 200;
    const child = aPeer({ task, host: aHost({ idc: 'dc' }) });
    expect(select(child)).toEqual([full]);
    const free = aPeer({ task, state: 'Succeeded' });
    expect(select(child)).toEqual([free]);
    const seed = aPeer({ task, host: aHost({ isSeed: true }), state: 'Succeeded' });
    seed.host.concurrentUploadCount = 200;
    expect(new Set(select(child))).toEqual(new Set([free, seed]));
  });

  it('looks at a bounded number of peers, however many there are', () => {
    const task = aTask();
    const child = aPeer({ task });
    const sharedHost = child.host;
    for (let index = 0; index < 500; index++) aPeer({ task, host: sharedHost, state: 'Succeeded' });
    let draws = 0;
    selectParents(child, { ...LIMITS, filterParentLimit: 10 }, defaultStrategy, 0, () => {
      draws += 1;
      return 0.5;
    });
    expect(draws).toBeLessThanOrEqual(10 * 8 + 1);
  });

  it('asks the strategy that it is given', () => {
    const task = aTask();
    const child = aPeer({ task });
    const parents = Array.from({ length: 4 }, () => aPeer({ task, state: 'Succeeded' }));
    const favourite = parents[2];
    const strategy: Strategy = {
      name: 'favourite',
      apiVersion: 1,
      score: (_child, candidates) => candidates.map((candidate) => (candidate.id === favourite?.id ? 1 : 0)),
    };
    expect(select(child, { candidateParentLimit: 1 }, strategy)).toEqual([favourite]);
  });

  it.each<[string, Strategy['score']]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['gives too few scores', () => [1]],
    ['gives NaN', (_child, candidates) => candidates.map(() => Number.NaN)],
  ])('falls back to the default when the strategy %s', (_name, score) => {
    const task = aTask();
    const child = aPeer({ task, host: aHost({ idc: 'dc' }) });
    aPeer({ task, state: 'Succeeded' });
    const near = aPeer({ task, host: aHost({ idc: 'dc' }), state: 'Succeeded' });
    aPeer({ task, state: 'Succeeded' });
    expect(select(child, { candidateParentLimit: 1 }, { name: 'broken', apiVersion: 1, score })).toEqual([near]);
  });
});

it.each([
  ['Pending', true],
  ['ReceivedEmpty', true],
  ['ReceivedTiny', true],
  ['ReceivedSmall', true],
  ['ReceivedNormal', true],
  ['Running', false],
  ['BackToSource', false],
  ['Succeeded', false],
  ['Failed', true],
  ['Leave', true],
] as const)('a peer in state %s is a bad node: %p', (state, expected) => {
  expect(isBadNode(aPeer({ state }))).toBe(expected);
});
