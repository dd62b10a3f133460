import { parseCommandLine } from './command-line.js';

describe('command line', () => {
  it('runs by default', () => {
    expect(parseCommandLine([])).toMatchObject({ command: 'run', console: false, insecureDev: false });
    expect(
      parseCommandLine(['--config', 'f', '--console', '--log-level', 'debug', '--log-dir=d', '--insecure-dev']),
    ).toMatchObject({ configFile: 'f', console: true, logLevel: 'debug', logDirectory: 'd', insecureDev: true });
  });

  it.each([
    [['--help'], 'help'],
    [['--version'], 'version'],
    [['config', 'check', '--strict'], 'config-check'],
  ])('%j', (args, command) => {
    expect(parseCommandLine(args)).toMatchObject({ command });
  });

  it.each([[['--nope']], [['start']], [['--log-level', 'loud']], [['--config']]])('refuses %j', (args) => {
    expect(() => parseCommandLine(args)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
