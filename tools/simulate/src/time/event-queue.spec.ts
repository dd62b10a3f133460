import { randomOf } from '../random.js';
import { clockOf, EventQueue, START_MS } from './event-queue.js';

describe('EventQueue', () => {
  it('lets things happen in order of time, and of planning at the same time', () => {
    const queue = new EventQueue();
    const random = randomOf(1);
    const happened: [number, number][] = [];
    for (let number = 0; number < 2000; number++) {
      const atMs = START_MS + Math.floor(random() * 100);
      queue.at(atMs, { happen: () => happened.push([queue.nowMs, number]) });
    }
    while (queue.step());
    expect(happened).toHaveLength(2000);
    expect(happened).toEqual(happened.toSorted(([a, x], [b, y]) => a - b || x - y));
  });

  it('lets what is planned for the past happen now', () => {
    const queue = new EventQueue();
    queue.after(10, () => {
      queue.at(START_MS, { happen: () => expect(queue.nowMs).toBe(START_MS + 10) });
    });
    expect(queue.step() && queue.step()).toBe(true);
    expect(queue.step()).toBe(false);
  });
});

it('a timer of the clock that was cancelled does not fire', () => {
  const queue = new EventQueue();
  const clock = clockOf(queue);
  const fired: string[] = [];
  clock.after(5, () => fired.push('cancelled')).cancel();
  clock.after(7.5, () => fired.push('kept'));
  while (queue.step());
  expect(fired).toEqual(['kept']);
  expect(clock.nowMs()).toBe(START_MS + 7);
});
