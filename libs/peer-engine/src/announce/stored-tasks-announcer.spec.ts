import type { StoredTask } from '@dragonfly/piece-store';
import { waitFor } from '@dragonfly/testkit';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import { StoredTasksAnnouncer } from './stored-tasks-announcer.js';

const LINK = { address: 'a' } as SchedulerLink;
const OTHER = { address: 'b' } as SchedulerLink;
const NO_PAUSES = { betweenMs: 0, firstMs: 0 };

function aTask(digit: string, overrides: Partial<StoredTask> = {}): StoredTask {
  const task = { id: digit.repeat(64), kind: 'standard', isComplete: true, isDeleted: false, updatedAtMs: 0 };
  return { ...task, ...overrides } as StoredTask;
}

function setUp(tasks: readonly StoredTask[], onAnnounce: () => Promise<boolean> = async () => true) {
  const told: { taskId: string; link: SchedulerLink; peerId: string }[] = [];
  let peers = 0;
  const announcer = new StoredTasksAnnouncer({
    store: { list: () => [...tasks] },
    schedulersFor: (taskId) => (taskId.startsWith('f') ? [OTHER, LINK] : [LINK, OTHER]),
    newPeerId: () => `peer-${(peers += 1)}`,
    announce: async (task, link, peerId) => {
      told.push({ taskId: task.id, link, peerId });
      return onAnnounce();
    },
    pauses: NO_PAUSES,
  });
  return { announcer, told };
}

describe('StoredTasksAnnouncer', () => {
  it('tells a scheduler the complete tasks that it owns, the last used first', async () => {
    const { announcer, told } = setUp([
      aTask('1', { updatedAtMs: 1 }),
      aTask('2', { updatedAtMs: 2 }),
      aTask('3', { isComplete: false }),
      aTask('4', { kind: 'persistent' }),
      aTask('f'),
      aTask('5', { id: 'of-my-own' }),
    ]);
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 2, { what: 'both tasks' });
    expect(told.map(({ taskId, link }) => [taskId[0], link])).toEqual([
      ['2', LINK],
      ['1', LINK],
    ]);
    announcer.onHostKnown(OTHER);
    await waitFor(() => told.length === 3, { what: 'the task of the other scheduler' });
    expect(told[2]).toMatchObject({ taskId: 'f'.repeat(64), link: OTHER });
    await announcer.stop();
  });

  it('uses the same peer id again, so that a scheduler that has forgotten nothing keeps one peer', async () => {
    const { announcer, told } = setUp([aTask('1')]);
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 1, { what: 'the first time' });
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 2, { what: 'the second time' });
    expect(told.map(({ peerId }) => peerId)).toEqual(['peer-1', 'peer-1']);
    await announcer.stop();
  });

  it('takes a new peer id where the first was not taken', async () => {
    const { announcer, told } = setUp([aTask('1')], async () => false);
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 1, { what: 'the first time' });
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 2, { what: 'the second time' });
    expect(told.map(({ peerId }) => peerId)).toEqual(['peer-1', 'peer-2']);
    await announcer.stop();
  });

  it('has one announcement under way, and none after stop', async () => {
    let free = (_isTaken: boolean): void => {};
    const { announcer, told } = setUp(
      ['1', '2', '3'].map((digit) => aTask(digit)),
      () => new Promise((resolve) => (free = resolve)),
    );
    announcer.onHostKnown(LINK);
    await waitFor(() => told.length === 1, { what: 'the first task' });
    const stopped = announcer.stop();
    free(true);
    await stopped;
    expect(told).toHaveLength(1);
  });
});
