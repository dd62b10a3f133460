import { writeFileSync } from 'node:fs';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { loadSchedulerConfig } from '../config/scheduler-config.js';
import { loadPlugin } from './plugin-loader.js';

let directory: TempDir;

beforeEach(() => {
  directory = tempDir('strategy');
});

afterEach(() => {
  directory.remove();
});

async function load(source: string | undefined) {
  const file = directory.file(`strategy-${Math.random().toString(36).slice(2)}.mjs`);
  if (source !== undefined) writeFileSync(file, source);
  const { config } = loadSchedulerConfig({
    env: { DRAGONFLY_SCHEDULER__ALGORITHM: 'plugin', DRAGONFLY_SCHEDULER__PLUGIN__PATH: file },
  });
  return loadPlugin(config, silentLogger());
}

it('loads the default export of a module from outside this package (seed 002-2)', async () => {
  const strategy = await load(
    "export default { name: 'mine', apiVersion: 1, score: (child, all) => all.map(() => 1) };",
  );
  expect(strategy?.name).toBe('mine');
});

it.each([
  ['is missing', undefined],
  ['does not parse', 'export default {'],
  ['exports no strategy', 'export default 5;'],
  ['is made for another version', "export default { name: 'old', apiVersion: 99, score: () => [] };"],
  ['takes the name of another strategy', "export default { name: 'adaptive', apiVersion: 1, score: () => [] };"],
  ['has a name that is no label', "export default { name: 'My Strategy', apiVersion: 1, score: () => [] };"],
])('does without it when the module %s', async (_name, source) => {
  expect(await load(source)).toBeUndefined();
});

it('tells who asks why it cannot be loaded', async () => {
  const { config } = loadSchedulerConfig({
    env: { DRAGONFLY_SCHEDULER__ALGORITHM: 'plugin', DRAGONFLY_SCHEDULER__PLUGIN__PATH: directory.file('none.mjs') },
  });
  const reasons: string[] = [];
  await loadPlugin(config, silentLogger(), (reason) => reasons.push(reason));
  expect(reasons).toEqual([expect.stringContaining('none.mjs')]);
});
