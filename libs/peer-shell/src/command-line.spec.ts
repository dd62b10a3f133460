import { parseCommandLine } from './command-line.js';

describe('parseCommandLine', () => {
  it.each([
    [[], { kind: 'serve', isConsole: false, isOnDemand: false }],
    [['daemon', '--console'], { kind: 'serve', isConsole: true }],
    [['-c', '/f', '-l', 'DEBUG'], { kind: 'serve', config: '/f', logLevel: 'debug' }],
    [['--dynconfig', '/d', '--log-dir', '/l', '--log-max-files', '6'], { dynconfig: '/d', logDir: '/l' }],
    [['--on-demand'], { isOnDemand: true }],
    [['config', 'check', '--strict'], { kind: 'check-config', isStrict: true }],
    [['--version'], { kind: 'version' }],
    [['-h'], { kind: 'help' }],
  ])('reads %j', (args, expected) => {
    expect(parseCommandLine(args)).toMatchObject(expected);
  });

  it.each([
    [['--nonsense'], "Unknown option '--nonsense'"],
    [['--log-level', 'loud'], '--log-level: must be one of'],
    [['serve', 'now'], 'unknown command: serve now'],
  ])('refuses %j', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});
