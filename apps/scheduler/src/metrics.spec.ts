import type { commonV2 } from '@dragonfly/proto';
import { ORIGINAL_FAMILIES } from '../test/support/original-metrics.js';
import { aHost } from '../test/support/announcements.js';
import { CountedAuthority } from './metrics/own-metrics.js';
import { SchedulerMetrics, taskSizeLevel } from './metrics.js';
import type { LeaseVerdict } from '@dragonfly/scheduling';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

it.each([
  [undefined, '0'],
  [0, '0'],
  [1, '1'],
  [MIB - 1, '1'],
  [MIB, '2'],
  [4 * MIB, '3'],
  [512 * MIB - 1, '9'],
  [512 * MIB, '10'],
  [GIB, '11'],
  [512 * GIB - 1, '18'],
  [512 * GIB, '19'],
  [1024 * GIB, '20'],
])('a content of %p bytes has the size level %s', (length, level) => {
  expect(taskSizeLevel(length)).toBe(level);
});

it('counts pieces under the original names, an unknown traffic type as from the source', async () => {
  const metrics = new SchedulerMetrics({ waitingPeers: () => 5, version: '0.1.0' });
  metrics.pieceFinished(1, 'normal', 10);
  metrics.pieceFinished(1, 'normal', 20);
  metrics.pieceFinished(9, 'super', 5);
  metrics.pieceFailed(1, 'normal');
  metrics.sourcePieceFailed('super');
  const text = await metrics.registry.metrics();
  for (const line of [
    'download_piece_finished_total{traffic_type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 2',
    'download_piece_finished_total{traffic_type="BACK_TO_SOURCE",task_type="STANDARD",host_type="super"} 1',
    'traffic{type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 30',
    'download_piece_finished_failure_total{traffic_type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 1',
    'concurrent_schedule_total 5',
    'version{major="0",minor="1",git_version="dfts-0.1.0",git_commit="",platform="',
    'download_piece_back_to_source_finished_failure_total{traffic_type="BACK_TO_SOURCE",task_type="STANDARD",host_type="super"} 1',
  ]) {
    expect(text).toContain(`dragonfly_scheduler_${line}`);
  }
});

it.each(ORIGINAL_FAMILIES)('has %s as a %s with the labels of the original', async (name, type, labels) => {
  const metrics = new SchedulerMetrics({ waitingPeers: () => 0, version: '0.1.0', perHost: true });
  const family = metrics.registry.getSingleMetric(`dragonfly_scheduler_${name}`) as unknown as
    { readonly labelNames: readonly string[] } | undefined;
  expect(family?.labelNames).toEqual(labels === '' ? [] : labels.split(', '));
  const text = await metrics.registry.metrics();
  expect(text).toContain(`# TYPE dragonfly_scheduler_${name} ${type}\n`);
});

it('announced hosts have at most 256 kinds of labels, however many there are', async () => {
  const metrics = new SchedulerMetrics({ waitingPeers: () => 0, version: '0.1.0' });
  const host = (kernelVersion: string): commonV2.Host => aHost('host', { kernelVersion });
  for (let i = 0; i < 1000; i++) metrics.announceHost.announced(host(`kernel ${i}`));
  const text = await metrics.registry.metrics();
  const series = text.split('\n').filter((line) => line.startsWith('dragonfly_scheduler_announce_host_total{'));
  expect(series).toHaveLength(257);
  expect(series.find((line) => line.includes('kernel_version="other"'))).toMatch(/ 744$/);
});

it('claims for leases are counted by what came of them', async () => {
  const { registry } = new SchedulerMetrics({ waitingPeers: () => 0, version: '0.1.0' });
  const verdicts: LeaseVerdict[] = [
    { kind: 'busy' },
    { kind: 'taken', holder: { hostId: 'h', peerId: 'p' } },
    { kind: 'busy' },
  ];
  const authority = new CountedAuthority(
    {
      claim: (_, decide) => {
        decide(verdicts.shift() ?? { kind: 'busy' });
      },
    },
    registry,
  );
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) {
    authority.claim({ taskId: 't', url: 'http://o/', hostId: '', peerId: '' }, ({ kind }) => seen.push(kind));
  }
  expect(seen).toEqual(['busy', 'taken', 'busy']);
  const text = await registry.metrics();
  expect(text).toContain('dragonfly_scheduler_source_lease_claims_total{result="busy"} 2\n');
  expect(text).toContain('dragonfly_scheduler_source_lease_claims_total{result="taken"} 1\n');
});
