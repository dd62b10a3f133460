import { PEER_PROFILE } from '@dragonfly/peer-engine';
import { daemonProgram } from './daemon-program.js';

function load(own: Record<string, string>): unknown {
  const program = daemonProgram(PEER_PROFILE, '1.0.0', { HOME: '/nowhere' });
  const flags = { own, config: undefined, logLevel: undefined, logDir: undefined, isConsole: true };
  return program.load(flags, false).logRotation;
}

describe('flags of the log', () => {
  it('say how many files there are and how large', () => {
    expect(load({})).toEqual({});
    expect(load({ 'log-max-files': '2', 'log-max-file-size': '10MiB' })).toEqual({
      maxFiles: 2,
      maxFileBytes: 10 * 1024 * 1024,
    });
  });

  it.each([
    [{ 'log-max-files': '0' }, '--log-max-files'],
    [{ 'log-max-file-size': 'big' }, '--log-max-file-size'],
  ])('%j is refused by name', (own, name) => {
    expect(() => load(own)).toThrow(name);
  });
});
