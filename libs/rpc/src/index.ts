/**
 * Construction of gRPC servers and clients. The Nest transport is a separate entry point, `@dragonfly/rpc/nest`.
 * @packageDocumentation
 */
export { type Address, grpcTarget, hostPort, MAX_UNIX_PATH_BYTES, parseAddress } from './address.js';
export type { CallCounts } from './call-counts.js';
export { spanOptions } from './call-spans.js';
export { type ClientConstructor, createGrpcClient, type GrpcClientOptions } from './client.js';
export { BidiCall, type BidiMethod, readStream, type ReadStreamOptions } from './client-stream.js';
export { directStream, type DirectStream } from './direct-streams.js';
export type { ServerStreamOptions } from './grpc-js-streams.js';
export { GrpcServer, type GrpcServerOptions, type GrpcServiceBinding } from './grpc-server.js';
export { type CallContext, handleBidi, handleServerStream, handleUnary, serveStream } from './handle.js';
export * from './limits.js';
export type { RpcLog } from './log.js';
export { decodeOriginDetails, encodeOriginDetails, type OriginDetails } from './origin-details.js';
export { closeRevokedConnections, type ConnectionSide, REVOCATION_CHECK_INTERVAL_MS } from './revoked-connections.js';
export type { ServerSettings } from './server-core.js';
export { type SharedClient, SharedClients } from './shared-clients.js';
export { callStatus, type CallStatus, STATUS_DETAILS_KEY, statusOfError } from './status.js';
export type { ServerStream, StreamCall } from './stream-call.js';
export {
  CERTIFICATE_CHECK_INTERVAL_MS,
  type CertificateFiles,
  type CertificateSet,
  LiveCertificates,
} from './live-certificates.js';
export type { ClientTls, LiveServerTls, ServerTls } from './tls.js';
export { errorOfCall, unary, type UnaryMethod, type UnaryOptions } from './unary.js';
