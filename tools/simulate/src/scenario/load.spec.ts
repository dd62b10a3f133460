import { writeFileSync } from 'node:fs';
import { tempDir } from '@dragonfly/testkit';
import { checkScenario, hostCountOf, loadScenario, scenarioNames } from './load.js';

const SMALL = loadScenario('small').scenario;

it.each(scenarioNames())('the scenario %s is valid', (name) => {
  expect(loadScenario(name).scenario.name).toBe(name);
});

it('there is a scenario for everything that is to be compared', () => {
  expect(scenarioNames()).toEqual([
    'churn',
    'flash-crowd',
    'lying-hosts',
    'multi-idc',
    'slow-hosts',
    'small',
    'ten-thousand',
    'trace',
  ]);
  expect(hostCountOf(loadScenario('ten-thousand').scenario)).toBe(10_000);
});

it.each<[string, object, RegExp]>([
  ['an unknown key', { colour: 'red' }, /f\.yaml: .*colour/],
  ['a rate of nothing', { origin: { idc: 'a', uploadMbit: 0 } }, /f\.yaml: origin\.uploadMbit: /],
  ['a data centre that is not there', { origin: { idc: 'z', uploadMbit: 1 } }, /f\.yaml: origin: no idc z/],
  ['no hosts', { hosts: [] }, /f\.yaml: hosts: /],
  ['unknown arrivals', { arrivals: { kind: 'never' } }, /f\.yaml: arrivals\.kind: /],
])('refuses %s and names the key', (_name, changes, message) => {
  expect(() => checkScenario({ ...SMALL, ...changes }, 'f.yaml')).toThrow(message);
});

it('names the known scenarios when there is none of a name', () => {
  expect(() => loadScenario('nonsense')).toThrow(/nonsense: neither a scenario \(churn, flash-crowd/);
});

it('reads a trace beside its scenario, and names the line that is wrong', () => {
  const directory = tempDir('trace');
  try {
    const scenario = { ...SMALL, arrivals: { kind: 'trace', file: 'trace.csv' } };
    const file = directory.file('scenario.json');
    writeFileSync(file, JSON.stringify(scenario));
    writeFileSync(directory.file('trace.csv'), '# comment\n2.5,3,0\n1,0,0\n');
    expect(loadScenario(file).trace).toEqual([
      { atMs: 1000, host: 0, task: 0 },
      { atMs: 2500, host: 3, task: 0 },
    ]);
    writeFileSync(directory.file('trace.csv'), '0,0,0\n1,8,0\n');
    expect(() => loadScenario(file)).toThrow(/trace\.csv:2: must be seconds,host,task with host below 8/);
  } finally {
    directory.remove();
  }
});
