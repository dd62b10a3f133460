import { waitFor } from '@dragonfly/testkit';
import { SeedLifeWatch } from './seed-life-watch.js';

/** Answers what it is told to, and counts. */
class FakeProbe {
  asked = 0;
  constructor(private readonly answers: (asked: number) => boolean | Promise<boolean>) {}

  async isServing(): Promise<boolean> {
    this.asked += 1;
    return this.answers(this.asked);
  }
}

describe('SeedLifeWatch', () => {
  it('gives a seed up that says nothing and answers nothing, but not for one missing answer', async () => {
    const probe = new FakeProbe((asked) => asked === 2);
    let isDead = false;
    const watch = new SeedLifeWatch(probe, 'seed:1', () => (isDead = true), 1);
    await waitFor(() => isDead, { what: 'the end' });
    // Missing, there, missing, missing.
    expect(probe.asked).toBe(4);
    watch.stop();
  });

  it('has patience with one that lives, however slow its origin is', async () => {
    const probe = new FakeProbe(() => true);
    let isDead = false;
    const watch = new SeedLifeWatch(probe, 'seed:1', () => (isDead = true), 1);
    await waitFor(() => probe.asked >= 5, { what: 'five questions' });
    watch.stop();
    expect(isDead).toBe(false);
  });

  it('takes a word of the seed for an answer', async () => {
    const probe = new FakeProbe(() => {
      watch.heard();
      return false;
    });
    let isDead = false;
    const watch: SeedLifeWatch = new SeedLifeWatch(probe, 'seed:1', () => (isDead = true), 1);
    await waitFor(() => probe.asked >= 4, { what: 'four questions' });
    watch.stop();
    expect(isDead).toBe(false);
  });

  it('asks nothing more after its end', async () => {
    const question = Promise.withResolvers<boolean>();
    const probe = new FakeProbe(() => question.promise);
    let isDead = false;
    const watch = new SeedLifeWatch(probe, 'seed:1', () => (isDead = true), 1);
    await waitFor(() => probe.asked === 1, { what: 'the first question' });
    watch.stop();
    question.resolve(false);
    await question.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(probe.asked).toBe(1);
    expect(isDead).toBe(false);
  });
});
