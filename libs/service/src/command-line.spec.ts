import { helpText, parseCommandLine, type CommandLineForm } from './command-line.js';

const FORM: CommandLineForm = {
  name: 'program',
  summary: 'Does something.',
  configHelp: ['(default none)'],
  flags: {
    short: { type: 'boolean', help: ['first line', 'second line'] },
    'with-a-long-name': { type: 'string', value: 'SIZE', help: ['what it is for'] },
    'of-old': { type: 'boolean' },
  },
};

describe('the help text of a service', () => {
  const lines = helpText(FORM).split('\n');

  it('has every flag apart from its explanation, and all explanations in one column', () => {
    const column = '  -c, --config FILE        '.length;
    expect(lines).toContain(`${'      --short'.padEnd(column)}first line`);
    expect(lines).toContain(`${''.padEnd(column)}second line`);
    const long = lines.indexOf('      --with-a-long-name SIZE');
    expect(lines[long + 1]).toBe(`${''.padEnd(column)}what it is for`);
  });

  it('says nothing of flags that are only put up with', () => {
    expect(lines.join()).not.toContain('of-old');
  });
});

describe('a command line that is wrong', () => {
  it.each([
    [['--nosuch'], "Unknown option '--nosuch'; see --help"],
    [['config', 'chekc'], 'unknown command "config chekc"; see --help'],
    [['--log-level', 'loud'], '--log-level: must be one of trace, debug, info, warn, error, is loud'],
  ])('is refused in one sentence: %p', (words, message) => {
    expect(() => parseCommandLine(FORM, words)).toThrow(expect.objectContaining({ message }));
  });
});
