import { jest } from '@jest/globals';
import { ProgressBar, type ProgressBarOptions } from './progress-bar.js';

const MIB = 1024 * 1024;
const CLEAR = '\r\x1b[K';

class FakeTerminal {
  written = '';
  write(text: string): void {
    this.written += text;
  }
  columns(): number {
    return 80;
  }
  nowMs(): number {
    return Date.now();
  }
  /** What stands on the line at the end. */
  get line(): string {
    return this.written.split(CLEAR).at(-1) ?? '';
  }
}

describe('progress bar', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  function bar(options: Partial<ProgressBarOptions> = {}): { terminal: FakeTerminal; bar: ProgressBar } {
    const terminal = new FakeTerminal();
    return { terminal, bar: new ProgressBar(terminal, { label: 'f', isShownAtOnce: false, isKept: true, ...options }) };
  }

  it('does not flash for a download that is over at once', () => {
    const { terminal, bar: shown } = bar({ isKept: false });
    jest.advanceTimersByTime(200);
    shown.succeed(MIB);
    expect(terminal.written).toBe('');
  });

  it('appears after a moment and moves with the rate of the last seconds', () => {
    const { terminal, bar: shown } = bar();
    for (let second = 1; second <= 5; second++) {
      jest.advanceTimersByTime(1000);
      shown.update(second * 10 * MIB, 100 * MIB);
    }
    jest.advanceTimersByTime(100);
    expect(terminal.line).toMatch(/50% .*50\.0 MiB \/ 100 MiB/);
    expect(terminal.line).toMatch(/(9\.\d|10\.\d|1\d\.\d) MiB\/s {3}ETA 0:0\d$/);
    shown.fail();
  });

  it('appears at the first drawing when asked to', () => {
    const { terminal, bar: shown } = bar({ isShownAtOnce: true });
    jest.advanceTimersByTime(100);
    expect(terminal.line).toContain('0 B/s'.slice(-2));
    expect(terminal.written).not.toBe('');
    shown.fail();
  });

  it('keeps its last line with the average rate', () => {
    const { terminal, bar: shown } = bar();
    jest.advanceTimersByTime(2000);
    shown.succeed(20 * MIB);
    expect(terminal.line).toMatch(/100% .*20\.0 MiB \/ 20\.0 MiB .*10\.0 MiB\/s +0:02\n$/);
  });

  it('is wiped after a failure and draws no more', () => {
    const { terminal, bar: shown } = bar({ isShownAtOnce: true });
    jest.advanceTimersByTime(500);
    shown.fail();
    expect(terminal.line).toBe('');
    const before = terminal.written;
    jest.advanceTimersByTime(1000);
    expect(terminal.written).toBe(before);
  });
});
