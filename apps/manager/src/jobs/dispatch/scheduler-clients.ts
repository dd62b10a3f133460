import { dfdaemonV2, extJobs, extRecords, schedulerV2 } from '@dragonfly/proto';
import { type ClientConstructor, type ClientTls, createGrpcClient, hostPort } from '@dragonfly/rpc';
import type { SchedulerTarget } from './scheduler-work.js';

/** Connections kept at most; the longest unused one is closed for a further one. */
const MAX_CLIENTS = 64;

interface Closable {
  close(): void;
}

/** gRPC clients of schedulers, one for each address and service, kept between calls. */
export class SchedulerClients {
  private readonly clients = new Map<string, Closable>();

  constructor(private readonly tls?: ClientTls) {}

  jobs(target: SchedulerTarget): extJobs.JobServiceClient {
    return this.client(extJobs.JobServiceClient, 'jobs', target);
  }

  scheduler(target: SchedulerTarget): schedulerV2.SchedulerClient {
    return this.client(schedulerV2.SchedulerClient, 'scheduler', target);
  }

  records(target: SchedulerTarget): extRecords.RecordServiceClient {
    return this.client(extRecords.RecordServiceClient, 'records', target);
  }

  /** A client for one daemon, which the caller closes. */
  daemon(ip: string, port: number): dfdaemonV2.DfdaemonUploadClient {
    return createGrpcClient(dfdaemonV2.DfdaemonUploadClient, hostPort(ip, port), { tls: this.tls });
  }

  close(): void {
    for (const client of this.clients.values()) {
      client.close();
    }
    this.clients.clear();
  }

  private client<C extends Closable>(Client: ClientConstructor<C>, service: string, target: SchedulerTarget): C {
    const key = `${service} ${hostPort(target.ip, target.port)}`;
    const kept = this.clients.get(key) as C | undefined;
    const client = kept ?? createGrpcClient(Client, hostPort(target.ip, target.port), { tls: this.tls });
    // The map keeps the order of use.
    this.clients.delete(key);
    this.clients.set(key, client);
    if (this.clients.size > MAX_CLIENTS) {
      const [oldest] = this.clients.keys();
      if (oldest !== undefined) {
        this.clients.get(oldest)?.close();
        this.clients.delete(oldest);
      }
    }
    return client;
  }
}
