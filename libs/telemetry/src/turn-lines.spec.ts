import { execFileSync } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TurnLines } from './turn-lines.js';

function line(level: string, msg: string): string {
  return `${JSON.stringify({ level, msg })}\n`;
}

describe('lines of a turn', () => {
  let written: string[];
  let lines: TurnLines;

  beforeEach(() => {
    written = [];
    lines = new TurnLines({ write: (text) => written.push(text) });
  });

  it('go out together, in order, at its end', async () => {
    for (const msg of ['a', 'b', 'c']) lines.write(line('info', msg));
    expect(written).toEqual([]);
    await nextTurn();
    expect(written).toEqual([line('info', 'a') + line('info', 'b') + line('info', 'c')]);
    lines.write(line('debug', 'd'));
    await nextTurn();
    expect(written).toHaveLength(2);
  });

  it('go out at once when one of them is a warning or an error', async () => {
    lines.write(line('info', 'before'));
    lines.write(line('warn', 'look'));
    expect(written).toEqual([line('info', 'before') + line('warn', 'look')]);
    lines.write(line('error', 'worse'));
    expect(written).toHaveLength(2);
    await nextTurn();
    expect(written).toHaveLength(2);
  });

  it('do not wait when they are many', () => {
    const long = line('info', 'x'.repeat(40_000));
    lines.write(long);
    lines.write(long);
    expect(written).toEqual([long + long]);
  });

  it.each([
    ['ends', 'process.exit(3)'],
    ['fails', "throw new Error('boom')"],
  ])('are written when the process %s in the turn', (_, ending) => {
    const module = fileURLToPath(new URL('../dist/turn-lines.js', import.meta.url));
    const program = `
      const { TurnLines } = await import(${JSON.stringify(module)});
      const { writeSync } = await import('node:fs');
      new TurnLines({ write: (text) => writeSync(1, text) }).write('{"level":"info","msg":"last"}\\n');
      ${ending};
    `;
    let output = '';
    try {
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'pipe' });
    } catch (error) {
      output = String((error as { stdout: Buffer }).stdout);
    }
    expect(output).toBe('{"level":"info","msg":"last"}\n');
  });
});
