import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { RECORDED_DIRECTORY } from './recorded-files.js';
import { formatEvent, parseSession } from './session.js';

describe('the form of recorded sessions', () => {
  it.each(readdirSync(RECORDED_DIRECTORY))('reads %s and writes the same lines again', (file) => {
    const text = readFileSync(path.join(RECORDED_DIRECTORY, file), 'utf8');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const events = parseSession(text);
    expect(events.map(formatEvent)).toEqual(lines);
    expect(text).toMatch(/^# Recorded by .*record\.ts/);
  });

  it('names a line that is none', () => {
    expect(() => parseSession('# fine\n1 > shout 00\n')).toThrow('no line of a recorded session: 1 > shout 00');
  });
});
