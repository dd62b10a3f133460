import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js';
import { grpcTarget, parseAddress } from './address.js';
import { spanOptions } from './call-spans.js';
import {
  DEFAULT_MAX_RESPONSE_BYTES,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  RECONNECT_INITIAL_MS,
  RECONNECT_MAX_MS,
} from './limits.js';
import { LastingChannel } from './lasting-channel.js';
import { clientCredentials, type ClientTls } from './tls.js';

/** A generated client class. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

export interface GrpcClientOptions {
  readonly tls?: ClientTls;
  /** @default DEFAULT_MAX_RESPONSE_BYTES */
  readonly maxReceiveBytes?: number;
}

/**
 * A client for one address. Connects on its first call and again when the connection is lost; `close()` it. A call after
 * that fails with UNAVAILABLE, it does not throw.
 * @param address `host:port`, `[ipv6]:port` or `unix:/path`
 * @throws DfError invalid-argument for a malformed address
 */
export function createGrpcClient<C>(Client: ClientConstructor<C>, address: string, options: GrpcClientOptions = {}): C {
  return new Client(grpcTarget(parseAddress(address)), clientCredentials(options.tls), {
    'grpc.max_receive_message_length': options.maxReceiveBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
    // Go servers close connections that are pinged more often than every 5 minutes, or while no call is open.
    'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_INITIAL_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
    // Clients of two parts of a process must not share a connection, or closing one would not close it.
    'grpc.use_local_subchannel_pool': 1,
    // Cluster members are reached directly, whatever the environment says about HTTP proxies.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
    channelFactoryOverride: (target, credentials, channelOptions) =>
      new LastingChannel(target, credentials, channelOptions),
    ...spanOptions(address),
    ...(options.tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': options.tls.serverName }),
  });
}
