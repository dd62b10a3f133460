import { StatusServer, type Logger, type Readiness } from '@dragonfly/telemetry';
import type { Registry } from 'prom-client';
import { choosePort } from './ports.js';

export interface StatusEndpointsOptions {
  readonly health: { readonly host: string; readonly port: number };
  readonly metrics: { readonly host: string; readonly port: number };
  readonly arePortsReplaceable: boolean;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly log: Logger;
}

/** The HTTP servers for probes (`/healthy`, `/readyz`) and for Prometheus (`/metrics`). */
export class StatusEndpoints {
  private constructor(private readonly servers: readonly StatusServer[]) {}

  get healthPort(): number {
    return this.servers[0]?.port ?? 0;
  }

  get metricsPort(): number {
    return this.servers[1]?.port ?? 0;
  }

  /** @throws DfError when a port cannot be had */
  static async start(options: StatusEndpointsOptions): Promise<StatusEndpoints> {
    const { readiness, registry, log, arePortsReplaceable } = options;
    const servers: StatusServer[] = [];
    try {
      for (const { host, port } of [options.health, options.metrics]) {
        const chosen = await choosePort(host, port, arePortsReplaceable);
        servers.push(await StatusServer.start({ host, port: chosen, readiness, registry, log }));
      }
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
    return new StatusEndpoints(servers);
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}
