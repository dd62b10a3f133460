import path from 'node:path';
import { copyFileSync, writeFileSync } from 'node:fs';
import { tempDir, type TempDir, waitFor } from '@dragonfly/testkit';
import { aDownload } from './support/announcements.js';
import { FakeManager } from './support/fake-manager.js';
import { TestCluster } from './support/test-cluster.js';

const EXAMPLE = path.resolve(import.meta.dirname, '../../../docs/examples/least-children.mjs');

let directory: TempDir;

beforeEach(() => {
  directory = tempDir('plugin');
});

afterEach(() => {
  directory.remove();
});

/** A peer that has the whole task. */
async function finishedParent(cluster: TestCluster, host: string): Promise<string> {
  const parent = await cluster.peer('task', host);
  await parent.register(aDownload({ metadataOnly: true }));
  await parent.answer();
  await parent.finished();
  await parent.end();
  return parent.id;
}

async function metrics(cluster: TestCluster): Promise<string> {
  return (await fetch(`http://127.0.0.1:${cluster.app.statusPort}/metrics`)).text();
}

it('schedules by the documented plugin from outside this package, and labels what came of it (seed 002-2, 002-33)', async () => {
  const file = directory.file('least-children.mjs');
  copyFileSync(EXAMPLE, file);
  await using cluster = await TestCluster.start({
    changes: { SCHEDULER__ALGORITHM: 'plugin', SCHEDULER__PLUGIN__PATH: file },
  });
  const [far, near] = [
    await finishedParent(cluster, await cluster.host('far', { network: { idc: 'dc2' } })),
    await finishedParent(cluster, await cluster.host('near', { network: { idc: 'dc1' } })),
  ];
  const child = await cluster.peer('task');
  await child.register();
  expect((await child.parents()).map(({ id }) => id)).toEqual([near, far]);
  await child.started();
  await child.piece(0, near);
  await child.finished();
  await child.end();
  const text = await metrics(cluster);
  expect(text).toContain('dragonfly_scheduler_strategy_decisions_total{strategy="least-children",result="parents"} 1');
  expect(text).toContain(
    'dragonfly_scheduler_strategy_downloads_total{strategy="least-children",result="succeeded"} 1',
  );
  expect(text).toContain('dragonfly_scheduler_strategy_pieces_total{strategy="least-children",result="finished"} 1');
  expect(text).toContain('dragonfly_scheduler_strategy_fallbacks_total{strategy="least-children",reason="threw"} 0');
});

it('goes on by the default when the plugin throws, and counts it (seed 002-33)', async () => {
  const file = directory.file('broken.mjs');
  writeFileSync(
    file,
    "export default { name: 'broken', apiVersion: 1, score: () => { throw new Error('no'); }, observe: () => { throw new Error('no'); } };",
  );
  await using cluster = await TestCluster.start({
    changes: { SCHEDULER__ALGORITHM: 'plugin', SCHEDULER__PLUGIN__PATH: file },
  });
  const parents = [
    await finishedParent(cluster, await cluster.host('far', { network: { idc: 'dc2' } })),
    await finishedParent(cluster, await cluster.host('near', { network: { idc: 'dc1' } })),
  ];
  const child = await cluster.peer('task');
  await child.register();
  expect((await child.parents()).map(({ id }) => id)).toEqual(parents.toReversed());
  await child.started();
  await child.piece(0, parents[0] ?? '');
  await child.finished();
  await child.end();
  expect(await metrics(cluster)).toContain(
    'dragonfly_scheduler_strategy_fallbacks_total{strategy="broken",reason="threw"} 2',
  );
});

it('a cluster decides by another strategy, or by two, as its manager says (seed 002-32)', async () => {
  await using manager = await FakeManager.start();
  manager.clusterConfig = { scheduling_strategy: { algorithm: 'random' } };
  await using cluster = await TestCluster.start({
    changes: { MANAGER__ADDR: `127.0.0.1:${manager.port}`, DYN_CONFIG__REFRESH_INTERVAL: '50ms' },
  });
  const { state } = cluster.app.core;
  const labels = async (tasks: number): Promise<Set<string>> => {
    for (let index = 0; index < tasks; index++) {
      const peer = await cluster.peer(`task-${index}-${Math.random()}`);
      await peer.register();
      await peer.answer();
    }
    return new Set(Array.from(state.resources.peers.values(), ({ strategyLabel }) => strategyLabel));
  };
  await waitFor(async () => (await labels(1)).has('random'), { what: 'the algorithm of the cluster' });
  manager.clusterConfig = { scheduling_strategy: { split: [{ name: 'adaptive', percent: 50 }] } };
  await waitFor(
    async () => {
      const seen = await labels(4);
      return seen.has('adaptive') && seen.has('default');
    },
    { what: 'both sides of the split' },
  );
  manager.clusterConfig = { scheduling_strategy: { algorithm: 'nonsense' } };
  await waitFor(() => state.strategies.strategyFor(firstTask(cluster)).name === 'default', {
    what: "the scheduler's own algorithm in place of an unknown one",
  });
});

function firstTask(cluster: TestCluster) {
  const [task] = cluster.app.core.state.resources.tasks.values();
  if (task === undefined) throw new Error('no task');
  return task;
}
