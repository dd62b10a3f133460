import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import { daemonProcessCases } from '@dragonfly/testkit';

jest.setTimeout(60_000);

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const CONDITIONS = ['grpc-serving', 'piece-server', 'dynconfig', 'scheduler-available', 'announced'];
const CASES = daemonProcessCases({ name: 'peer', main: MAIN, conditions: CONDITIONS });

describe('the peer process', () => {
  it.each(CASES)('$name', ({ run }) => run());
});
