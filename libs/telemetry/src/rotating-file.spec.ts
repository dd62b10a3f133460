import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RotatingFile } from './rotating-file.js';

describe('RotatingFile', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'rotate-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('keeps so many files of such a size, the latest lines first', () => {
    const file = path.join(directory, 'a.log');
    const log = new RotatingFile(file, { maxFileBytes: 10, maxFiles: 3 });
    for (const line of ['one\n', 'two\n', 'three\n', 'four\n', 'five\n', 'six\n', 'seven\n']) log.write(line);
    expect(readdirSync(directory).sort()).toEqual(['a.log', 'a.log.1', 'a.log.2']);
    expect(readFileSync(file, 'utf8')).toBe('six\nseven\n');
    expect(readFileSync(`${file}.1`, 'utf8')).toBe('four\nfive\n');
    expect(readFileSync(`${file}.2`, 'utf8')).toBe('three\n');
  });

  it('goes on with a file of an earlier run, and writes a line that is longer than a file may be', () => {
    const file = path.join(directory, 'a.log');
    new RotatingFile(file, { maxFileBytes: 10, maxFiles: 1 }).write('old\n');
    const log = new RotatingFile(file, { maxFileBytes: 10, maxFiles: 1 });
    log.write('more\n');
    expect(readFileSync(file, 'utf8')).toBe('old\nmore\n');
    log.write('a long line\n');
    expect(readFileSync(file, 'utf8')).toBe('a long line\n');
  });

  it('survives a file that takes no bytes', () => {
    const log = new RotatingFile('/dev/full', { maxFileBytes: 1000, maxFiles: 1 });
    expect(() => {
      log.write('lost\n');
    }).not.toThrow();
  });
});
