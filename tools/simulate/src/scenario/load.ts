import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DfError } from '@dragonfly/errors';
import { parse } from 'yaml';
import { type Scenario, scenarioSchema } from './schema.js';

/** The scenarios that come with the package. */
export const SCENARIO_DIRECTORY = fileURLToPath(new URL('../../scenarios/', import.meta.url));

/** One arrival of a trace. */
export interface TraceEntry {
  readonly atMs: number;
  readonly host: number;
  readonly task: number;
}

export interface LoadedScenario {
  readonly scenario: Scenario;
  /** Arrivals of a trace, in order of time. */
  readonly trace: readonly TraceEntry[];
}

/** Names of the scenarios that come with the package. */
export function scenarioNames(): string[] {
  return readdirSync(SCENARIO_DIRECTORY)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => path.basename(file, '.yaml'))
    .sort();
}

/**
 * @param nameOrFile a name of {@link scenarioNames}, or the path of a YAML or JSON file
 * @throws DfError `not-found`, or `invalid-argument` naming file, key and rule
 */
export function loadScenario(nameOrFile: string): LoadedScenario {
  const isName = scenarioNames().includes(nameOrFile);
  const file = isName ? path.join(SCENARIO_DIRECTORY, `${nameOrFile}.yaml`) : path.resolve(nameOrFile);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const known = scenarioNames().join(', ');
    throw new DfError('not-found', `${nameOrFile}: neither a scenario (${known}) nor a readable file`, {
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new DfError('invalid-argument', `${file}: ${DfError.from(error).message}`, { cause: error });
  }
  const scenario = checkScenario(value, file);
  const trace =
    scenario.arrivals.kind === 'trace'
      ? readTrace(path.resolve(path.dirname(file), scenario.arrivals.file), scenario)
      : [];
  return { scenario, trace };
}

/** @throws DfError `invalid-argument` naming each wrong key and the rule */
export function checkScenario(value: unknown, file: string): Scenario {
  const parsed = scenarioSchema.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) =>
      [file, ...(path.length > 0 ? [path.join('.')] : []), message].join(': '),
    );
    throw new DfError('invalid-argument', problems.join('\n'));
  }
  const { idcs, origin, seeds } = parsed.data;
  const known = new Set(idcs.map(({ name }) => name));
  for (const [key, idc] of [['origin', origin.idc], ...seeds.map((seed) => ['seeds', seed.idc])]) {
    if (idc === undefined || !known.has(idc)) throw new DfError('invalid-argument', `${file}: ${key}: no idc ${idc}`);
  }
  return parsed.data;
}

/** Normal hosts of a scenario. */
export function hostCountOf(scenario: Scenario): number {
  return scenario.idcs.reduce((sum, { racks, hostsPerRack }) => sum + racks * hostsPerRack, 0);
}

function readTrace(file: string, scenario: Scenario): TraceEntry[] {
  const hosts = hostCountOf(scenario);
  const { tasks } = scenario.content;
  const lines = readFileSync(file, 'utf8').split('\n');
  const entries = lines.flatMap((line, index): TraceEntry[] => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const [atSeconds = NaN, host = NaN, task = NaN] = line.split(',').map(Number);
    if (!(atSeconds >= 0) || !isIndex(host, hosts) || !isIndex(task, tasks)) {
      throw new DfError(
        'invalid-argument',
        `${file}:${index + 1}: must be seconds,host,task with host below ${hosts} and task below ${tasks}`,
      );
    }
    return [{ atMs: atSeconds * 1000, host, task }];
  });
  return entries.toSorted((left, right) => left.atMs - right.atMs);
}

function isIndex(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end;
}
