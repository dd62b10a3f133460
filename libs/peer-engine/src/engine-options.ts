import type { LiveServerTls, ServerTls } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { DaemonConfig } from './config/schema.js';
import type { SourceProxy } from './data-plane.js';
import type { RoleProfile } from './role-profile.js';

export interface PeerEngineOptions {
  readonly profile: RoleProfile;
  readonly config: DaemonConfig;
  readonly log: Logger;
  /** Version of the program, for dfget. */
  readonly version: string;
  /** Ports that are taken are replaced by free ones. @default false */
  readonly arePortsReplaceable?: boolean;
  /** Proxies towards origins. */
  readonly sourceProxy?: SourceProxy;
  /** Name of the instance in a cluster manager such as Kubernetes. */
  readonly instanceName?: string | undefined;
  /** Ends a start that waits for the manager. */
  readonly signal?: AbortSignal;
  /** Nobody has used the daemon for `aliveTime`. */
  readonly onIdle?: () => void;
}

/** Where a gRPC server for the two services is to listen. */
export interface GrpcEndpoints {
  /** `host:port` of the upload service. */
  readonly uploadAddress: string;
  readonly uploadTls: ServerTls | LiveServerTls | undefined;
  /** `unix:/path` of the download service. */
  readonly downloadAddress: string;
  /** Permission bits of that socket. */
  readonly downloadSocketMode: number;
  readonly requestsPerSecond: { readonly upload: number; readonly download: number };
}

/** Names of the readiness conditions of a role. */
export function readinessConditions(profile: RoleProfile): string[] {
  return [
    'grpc-serving',
    'piece-server',
    'dynconfig',
    'scheduler-available',
    'announced',
    ...(profile.registersAs === 'seed-peer' ? ['manager-registered'] : []),
  ];
}
