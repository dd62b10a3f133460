import { defaultStrategy, idcScore, loadScore, locationScore } from './strategy.js';
import { aHost, aPeer, aTask } from './testing/index.js';

const MIB = 1024 * 1024;
const GIGABIT = 1_000_000_000;

describe('load of a host', () => {
  it('is worth nothing when the host does not say what it can send', () => {
    expect(loadScore(aHost({ maxTxBitsPerSecond: 0 }))).toBe(0);
  });

  it('is worth everything when nobody fetches from it', () => {
    expect(loadScore(aHost())).toBeCloseTo(0.5 + 0.3 + 0.2, 12);
  });

  it.each([
    ['half its peak', { txBits: GIGABIT / 2 }, 0.5 * 0.5 + 0.3 + 0.2],
    ['its whole peak', { txBits: GIGABIT }, 0.3 + 0.2],
    ['a quarter of a minute of content', { uploadContentBytes: (GIGABIT / 8) * 15 }, 0.5 + 0.3 * 0.75 + 0.2],
    ['a minute of content', { uploadContentBytes: (GIGABIT / 8) * 60 }, 0.5 + 0.2],
    ['as many pieces as it is meant for', { concurrentUploadPieceCount: 7 }, 0.5 + 0.3 + 0.2],
    ['twice as many pieces', { concurrentUploadPieceCount: (2 * GIGABIT) / (16 * MIB) / 8 }, 0.5 + 0.3 + 0.2 * 0.5],
  ])('with %s', (_name, load, expected) => {
    expect(loadScore(Object.assign(aHost(), load))).toBeCloseTo(expected, 12);
  });

  it('gives no points for concurrency below one piece of 16 MiB a second', () => {
    expect(loadScore(aHost({ maxTxBitsPerSecond: 16 * MIB * 8 }))).toBeCloseTo(0.8, 12);
  });
});

it.each([
  ['a', 'A', 1],
  ['a', 'b', 0],
  ['', '', 0],
  ['a', '', 0],
  ['a|b', 'a', 0],
])('data centres %p and %p score %p', (parent, child, expected) => {
  expect(idcScore(parent, child)).toBe(expected);
});

it.each([
  ['a|b|c', 'A|B|C', 1],
  ['a|b|c', 'a|b|x', 0.4],
  ['a|b', 'a|b|c', 0.4],
  ['x|b|c', 'a|b|c', 0],
  ['a|b|c|d|e|f', 'a|b|c|d|e|g', 1],
  ['', 'a', 0],
  ['', '', 0],
])('locations %p and %p score %p', (parent, child, expected) => {
  expect(locationScore(parent, child)).toBeCloseTo(expected, 12);
});

describe('default strategy', () => {
  const task = aTask();
  const child = aPeer({ task, host: aHost({ idc: 'dc1', location: 'eu|de|fra' }) });

  it.each([
    ['a normal host', { isSeed: false }, 'Running', 0.6 + 0.05],
    ['a running seed', { isSeed: true }, 'Running', 0.6 + 0.1],
    ['a seed at the source', { isSeed: true }, 'BackToSource', 0.6],
    ['a finished seed', { isSeed: true }, 'Succeeded', 0.6],
    ['a normal host in the same data centre', { idc: 'DC1' }, 'Succeeded', 0.6 + 0.2 + 0.05],
    ['a normal host in the same country', { location: 'eu|de|muc' }, 'Succeeded', 0.6 + 0.04 + 0.05],
  ] as const)('scores %s', (_name, facts, state, expected) => {
    const parent = aPeer({ task, host: aHost(facts), state, pieceCount: 1 });
    expect(defaultStrategy.score(child, [parent], 0)[0]).toBeCloseTo(expected, 12);
  });
});
