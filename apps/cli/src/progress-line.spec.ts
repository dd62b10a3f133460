import { clockText, progressLine, sizeText, type ProgressView } from './progress-line.js';

const MIB = 1024 * 1024;

function view(change: Partial<ProgressView> = {}): ProgressView {
  return {
    label: 'file.bin',
    completedBytes: 42 * MIB,
    totalBytes: 100 * MIB,
    bytesPerSecond: 10 * MIB,
    elapsedMs: 4200,
    ...change,
  };
}

describe('progress line', () => {
  it('shows name, bar, percent, bytes, rate and the time that is left', () => {
    expect(progressLine(view(), 80)).toBe(
      'file.bin  [======>           ]   42%  42.0 MiB / 100 MiB  10.0 MiB/s   ETA 0:06',
    );
  });

  it('shows the elapsed time once everything is there', () => {
    expect(progressLine(view({ completedBytes: 100 * MIB, elapsedMs: 10_000 }), 100)).toMatch(
      /\[=+\] {2}100% .* 0:10$/,
    );
  });

  it('shows a slider that moves and no ETA while the length is unknown', () => {
    const at = (elapsedMs: number): string => progressLine(view({ totalBytes: null, elapsedMs }), 80);
    expect(at(0)).toMatch(/^file\.bin {2}\[<=> +\] .*42\.0 MiB .*10\.0 MiB\/s +0:00$/);
    expect(at(300)).toMatch(/\[ {3}<=> +\]/);
    expect(at(0)).not.toContain('ETA');
    const positions = Array.from({ length: 200 }, (_, step) => at(step * 100).indexOf('<=>'));
    expect(Math.min(...positions)).toBe(positions[0]);
    expect(new Set(positions).size).toBeGreaterThan(10);
  });

  it('knows no rate and no ETA at first', () => {
    expect(progressLine(view({ bytesPerSecond: undefined }), 80)).toMatch(/--\/s {2}ETA --:--$/);
    expect(progressLine(view({ bytesPerSecond: 0 }), 80)).toMatch(/ETA --:--$/);
  });

  it('is never wider than the terminal, and leaves out the label, then the bar, then the rate', () => {
    for (let columns = 1; columns <= 200; columns++) {
      for (const totalBytes of [100 * MIB, null]) {
        expect(progressLine(view({ totalBytes }), columns).length).toBeLessThan(Math.max(columns, 2));
      }
    }
    expect(progressLine(view(), 64)).not.toContain('file.bin');
    expect(progressLine(view(), 64)).toContain('[');
    expect(progressLine(view(), 50)).not.toContain('[');
    expect(progressLine(view(), 50)).toContain('/s');
    expect(progressLine(view(), 32)).toContain('42%');
    expect(progressLine(view(), 32)).not.toContain('/s');
  });

  it('cuts a long name in its middle and counts wide characters twice', () => {
    const line = progressLine(view({ label: `model-${'x'.repeat(60)}-00001.safetensors` }), 120);
    expect(line).toMatch(/^model-x+….*tensors {2}\[/);
    const wide = progressLine(view({ label: '文'.repeat(40) }), 100);
    const cells = [...wide].reduce((sum, character) => sum + (character === '文' ? 2 : 1), 0);
    expect(cells).toBeLessThan(100);
  });

  it('lets no name steer the terminal', () => {
    expect(progressLine(view({ label: 'a\x1b[31m\nb' }), 100)).toMatch(/^a\?\[31m\?b {2}/);
  });

  it('is complete for an empty file', () => {
    expect(progressLine(view({ completedBytes: 0, totalBytes: 0 }), 80)).toMatch(/\[=+\] {2}100%/);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KiB'],
    [1024 * 150, '150 KiB'],
    [12.34 * MIB, '12.3 MiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it.each([
    [0, '0:00'],
    [7_999, '0:07'],
    [754_000, '12:34'],
    [3_723_000, '1:02:03'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(clockText(ms)).toBe(text);
  });
});
