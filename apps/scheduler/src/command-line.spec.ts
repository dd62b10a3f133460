import { parseCommandLine } from './command-line.js';

it('serves with what the options say', () => {
  expect(parseCommandLine(['--config', 'a.yaml', '--console', '--log-level', 'debug', '--log-dir', '/l'])).toEqual({
    kind: 'serve',
    config: 'a.yaml',
    console: true,
    logLevel: 'debug',
    logDir: '/l',
    dynconfig: undefined,
  });
  expect(parseCommandLine([])).toMatchObject({ kind: 'serve', console: false, logLevel: undefined });
});

it.each([
  [['--help'], 'help'],
  [['-h', '--config', 'x'], 'help'],
  [['--version'], 'version'],
  [['config', 'check'], 'check-config'],
])('%p is %s', (args, kind) => {
  expect(parseCommandLine(args).kind).toBe(kind);
});

it('checks a configuration, strictly when asked', () => {
  expect(parseCommandLine(['config', 'check', '--config', 'a', '--strict'])).toEqual({
    kind: 'check-config',
    config: 'a',
    isStrict: true,
  });
});

it.each([[['--nonsense']], [['run']], [['--log-level', 'loud']], [['--config']]])('refuses %p', (args) => {
  expect(() => parseCommandLine(args)).toThrow();
});
