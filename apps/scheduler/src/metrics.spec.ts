import { SchedulerMetrics, taskSizeLevel } from './metrics.js';

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
  const metrics = new SchedulerMetrics({ waitingPeers: () => 5 }, '0.1.0');
  metrics.pieceFinished(1, 'normal', 10);
  metrics.pieceFinished(1, 'normal', 20);
  metrics.pieceFinished(9, 'super', 5);
  metrics.pieceFailed(1, 'normal');
  const text = await metrics.registry.metrics();
  for (const line of [
    'download_piece_finished_total{traffic_type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 2',
    'download_piece_finished_total{traffic_type="BACK_TO_SOURCE",task_type="STANDARD",host_type="super"} 1',
    'traffic{type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 30',
    'download_piece_finished_failure_total{traffic_type="REMOTE_PEER",task_type="STANDARD",host_type="normal"} 1',
    'concurrent_schedule_total 5',
    'version{major="0",minor="1",git_version="dfts-0.1.0"} 1',
  ]) {
    expect(text).toContain(`dragonfly_scheduler_${line}`);
  }
});
