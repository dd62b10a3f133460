import { CountingOrigin } from '@dragonfly/testkit';
import { LocalCluster } from './local-cluster.js';
import { ManagerRest } from './manager-rest.js';

/** A local cluster that is up, an origin beside it and a session at its manager. */
export class ClusterSite {
  private constructor(
    readonly origin: CountingOrigin,
    readonly cluster: LocalCluster,
    readonly rest: ManagerRest,
  ) {}

  /**
   * Leaves nothing running when it fails.
   * @param environment of every process of the cluster
   */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<ClusterSite> {
    const cluster = await LocalCluster.create(environment);
    try {
      await cluster.up();
      const rest = await ManagerRest.signIn(`http://127.0.0.1:${cluster.port('MANAGER_REST_PORT')}`);
      return new ClusterSite(await CountingOrigin.start(), cluster, rest);
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  async stop(): Promise<void> {
    try {
      await this.cluster.destroy();
    } finally {
      await this.origin.close();
    }
  }
}
