import { EventQueue, START_MS } from '../time/event-queue.js';
import { Link, Transfer } from './link.js';

/** When each of some transfers was done, since the beginning. */
function run(begin: (queue: EventQueue, done: (name: string) => () => void) => void): Map<string, number> {
  const queue = new EventQueue();
  const doneMs = new Map<string, number>();
  begin(queue, (name) => () => doneMs.set(name, queue.nowMs - START_MS));
  while (queue.step());
  return doneMs;
}

describe('transfers', () => {
  it('take latency and the time of the slowest link', () => {
    const [fast, slow] = [new Link('fast', 100), new Link('slow', 10)];
    const times = run((queue, done) => {
      Transfer.start(queue, [fast, slow], 1000, 5, done('down'));
      Transfer.start(queue, [new Link('slow', 10), new Link('fast', 100)], 1000, 5, done('up'));
    });
    expect(times).toEqual(
      new Map([
        ['down', 105],
        ['up', 105],
      ]),
    );
  });

  it('never get more out of a link than its rate, and never let it idle', () => {
    const link = new Link('shared', 100);
    const times = run((queue, done) => {
      for (let flow = 0; flow < 50; flow++) {
        Transfer.start(queue, [new Link('up', 1000), link], 1000, flow % 7, done(`${flow}`));
      }
    });
    expect(link.carriedBytes).toBe(50_000);
    expect(Math.max(...times.values())).toBeCloseTo(500, 6);
  });

  it('share a link equally among those who keep equally many pieces on the way, whatever they share elsewhere', () => {
    const shared = new Link('shared', 100);
    const narrow = new Link('narrow', 10);
    const arrived = { wide: 0, other: 0, held: 0 };
    const queue = new EventQueue();
    const keep = (name: keyof typeof arrived, last: Link): void => {
      Transfer.start(queue, [shared, last], 100, 0.01, () => {
        arrived[name] += 100;
        keep(name, last);
      });
    };
    for (let piece = 0; piece < 4; piece++) {
      keep('wide', new Link('card', 1e6));
      keep('other', new Link('card', 1e6));
      keep('held', narrow);
    }
    while (queue.nowMs < START_MS + 10_000 && queue.step());
    // Max-min: the one held up elsewhere gets its 10, the others half of the remaining 90 each.
    expect(arrived.held / 10_000).toBeCloseTo(10, 0);
    expect(arrived.wide / 10_000).toBeGreaterThan(44);
    expect(arrived.wide / 10_000).toBeLessThan(46);
    expect(arrived.other / 10_000).toBeGreaterThan(44);
  });

  it('leave the link to the next when they are cancelled while they wait, and not when it has begun with them', () => {
    const card = new Link('card', 10);
    const times = run((queue, done) => {
      const [first, second, third] = ['first', 'second', 'third'].map((name) =>
        Transfer.start(queue, [card], 1000, 0, done(name)),
      );
      queue.after(50, () => {
        expect([first?.isSent, first?.hasBegun, second?.isSent]).toEqual([true, true, false]);
        first?.cancel();
        second?.cancel();
        expect(third?.isSent).toBe(false);
      });
    });
    expect(times).toEqual(new Map([['third', 200]]));
    expect(card.carriedBytes).toBe(2000);
  });

  it('do not arrive once cancelled', () => {
    const times = run((queue, done) => {
      Transfer.start(queue, [new Link('card', 10)], 1000, 0, done('never')).cancel();
    });
    expect(times.size).toBe(0);
  });
});
