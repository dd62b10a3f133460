import { readFileSync, writeFileSync } from 'node:fs';
import { FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir, waitFor } from '@dragonfly/testkit';
import { DEFAULT_DYNAMIC_CONFIG, DynamicSettings } from './dynamic-config.js';
import { LocalDynconfig } from './local-dynconfig.js';

let directory: TempDir;
let clock: FakeClock;
let settings: DynamicSettings;
let local: LocalDynconfig;

beforeEach(() => {
  directory = tempDir('dynconfig');
  clock = new FakeClock();
  settings = new DynamicSettings(silentLogger());
  local = new LocalDynconfig(directory.file('dynconfig.yaml'), 60_000, settings, clock, silentLogger());
});

afterEach(() => {
  local.stop();
  directory.remove();
});

it('writes the file with the defaults when it is missing', async () => {
  await local.start();
  const text = readFileSync(directory.file('dynconfig.yaml'), 'utf8');
  for (const line of ['candidateParentLimit: 3', 'filterParentLimit: 15', 'loadLimit: 200', 'loadLimit: 2000']) {
    expect(text).toContain(line);
  }
  expect(settings.limits()).toEqual({
    candidateParentLimit: 3,
    filterParentLimit: 15,
    peerUploadLimit: 200,
    seedUploadLimit: 2000,
  });
});

it('reads the file, and again at every refresh', async () => {
  writeFileSync(directory.file('dynconfig.yaml'), 'schedulerClusterConfig: {candidateParentLimit: 7}');
  await local.start();
  expect(settings.limits().candidateParentLimit).toBe(7);
  writeFileSync(directory.file('dynconfig.yaml'), 'schedulerClusterConfig: {candidateParentLimit: 9}');
  clock.advance(60_000);
  await waitFor(() => settings.limits().candidateParentLimit === 9, { what: 'the new limit' });
});

it('a file that cannot be used changes nothing', async () => {
  writeFileSync(directory.file('dynconfig.yaml'), 'schedulerClusterConfig: {candidateParentLimit: 7}');
  await local.start();
  writeFileSync(directory.file('dynconfig.yaml'), 'schedulerClusterConfig: [1');
  await local.start();
  expect(settings.limits().candidateParentLimit).toBe(7);
});

it('limits out of bounds count as not set', () => {
  settings.apply({
    applications: [],
    seedPeerClusterConfig: { loadLimit: -1 },
    schedulerClusterConfig: { candidateParentLimit: 21, filterParentLimit: 9 },
    schedulerClusterClientConfig: { loadLimit: 0 },
  });
  expect(settings.limits()).toEqual({
    candidateParentLimit: 3,
    filterParentLimit: 15,
    peerUploadLimit: 200,
    seedUploadLimit: 2000,
  });
});

it('tells which setting of the source is wrong and by which rule, and takes the others over', () => {
  const warnings: unknown[] = [];
  const log = Object.assign(silentLogger(), { warn: (...args: unknown[]) => void warnings.push(args[0]) });
  const watched = new DynamicSettings(log);
  const config = {
    ...DEFAULT_DYNAMIC_CONFIG,
    schedulerClusterConfig: {
      ...DEFAULT_DYNAMIC_CONFIG.schedulerClusterConfig,
      sourceLease: { readers: 17, originBandwidthLimit: '8MiB', originConcurrentRequests: 2 },
    },
  };
  watched.apply(config);
  watched.apply(structuredClone(config));
  expect(watched.sourceOverride()).toEqual({ originBandwidthLimit: 8 * 1024 * 1024, originConcurrentRequests: 2 });
  expect(warnings).toEqual([{ problems: ['sourceLease.readers: must be 1..16'] }]);
  watched.apply({ ...config, schedulerClusterConfig: { ...config.schedulerClusterConfig, sourceLease: 'two' } });
  expect(watched.sourceOverride()).toBeUndefined();
  watched.apply(DEFAULT_DYNAMIC_CONFIG);
  expect(watched.sourceOverride()).toBeUndefined();
  expect(warnings).toHaveLength(2);
});

it('a URL pattern that is no regular expression is left out', () => {
  settings.apply({
    applications: [
      {
        name: 'app',
        priority: {
          value: 4,
          urls: [
            { regex: '(', value: 1 },
            { regex: 'b', value: 2 },
          ],
        },
      },
    ],
    seedPeerClusterConfig: { loadLimit: 0 },
    schedulerClusterConfig: { candidateParentLimit: 0, filterParentLimit: 0 },
    schedulerClusterClientConfig: { loadLimit: 0 },
  });
  expect(settings.applications()).toEqual([{ name: 'app', value: 4, urls: [{ pattern: /b/, value: 2 }] }]);
});
