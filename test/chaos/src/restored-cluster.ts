import { ChaosCluster, RESTORE_TIMEOUT_MS, type ChaosClusterOptions } from './chaos-cluster.js';

const START_TIMEOUT_MS = 180_000;

/**
 * One cluster for all tests of a describe block, whole again before each of them and gone after the last.
 * @param onStarted is handed the cluster before the first test
 */
export function restoredCluster(options: ChaosClusterOptions, onStarted: (cluster: ChaosCluster) => void): void {
  let cluster: ChaosCluster | undefined;

  beforeAll(async () => {
    cluster = await ChaosCluster.start(options);
    onStarted(cluster);
  }, START_TIMEOUT_MS);

  beforeEach(async () => {
    await cluster?.restore();
  }, RESTORE_TIMEOUT_MS);

  afterAll(async () => {
    await cluster?.destroy();
  });
}
