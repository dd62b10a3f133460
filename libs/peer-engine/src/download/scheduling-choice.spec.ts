import { asTaskId } from '@dragonfly/ids';
import { usesScheduler } from './scheduling-choice.js';

const MIB = 1024 * 1024;
const REQUEST = {
  taskId: asTaskId('a'.repeat(64)),
  mayGoBackToSource: true,
  mustGoBackToSource: false,
  isAlwaysScheduled: false,
};
const CHOICE = { hasScheduler: true, hasSeedPeer: false, smallTaskP2P: 'auto' as const };

describe('usesScheduler', () => {
  it.each([
    ['a large file', {}, 5 * MIB, {}, true],
    ['a file of unknown length', {}, undefined, {}, true],
    ['a large file without a scheduler', {}, 5 * MIB, { hasScheduler: false }, false],
    ['a small file', {}, 4 * MIB, {}, false],
    ['a small file in a cluster with a seed peer', {}, 4 * MIB, { hasSeedPeer: true }, true],
    ['a small file, always', {}, 1, { smallTaskP2P: 'always' as const }, true],
    ['a small file, never', {}, 1, { smallTaskP2P: 'never' as const, hasSeedPeer: true }, false],
    ['a small file that asks for it', { isAlwaysScheduled: true }, 1, { smallTaskP2P: 'never' as const }, true],
    ['a small file without the source', { mayGoBackToSource: false }, 1, {}, true],
    ['a small file a scheduler sent us for', { mustGoBackToSource: true }, 1, {}, true],
    ['a task that peers cannot ask for', { taskId: asTaskId('b'.repeat(128)) }, 5 * MIB, {}, false],
  ])('decides for %s', (_, request, bytes, choice, expected) => {
    expect(usesScheduler({ ...REQUEST, ...request }, bytes, { ...CHOICE, ...choice })).toBe(expected);
  });
});
