import { SilenceWatch } from './silence-watch.js';

let nowMs: number;
let watch: SilenceWatch;

beforeEach(() => {
  nowMs = 1000;
  watch = new SilenceWatch(3000, () => nowMs);
});

/** Time goes by with a look every half second. @returns what the last look said */
function pass(ms: number): boolean {
  const endMs = nowMs + ms;
  let isSilent = false;
  while (nowMs < endMs) {
    nowMs = Math.min(endMs, nowMs + 500);
    isSilent = watch.isSilent();
  }
  return isSilent;
}

describe('SilenceWatch', () => {
  it('waits so long for the first sign of life, and anew after each', () => {
    expect(pass(3000)).toBe(false);
    watch.heard(5000);
    expect(pass(5000)).toBe(false);
    expect(pass(500)).toBe(true);
  });

  it('is not made impatient by an early sign of life', () => {
    watch.heard(100);
    expect(pass(3000)).toBe(false);
  });

  it('does not blame others for a standstill of this process', () => {
    nowMs += 60_000;
    expect(watch.isSilent()).toBe(false);
    expect(pass(1500)).toBe(false);
    expect(pass(1000)).toBe(true);
  });
});
