/**
 * The daemon behind peer and seed peer, without a framework.
 *
 * ```ts
 * const { config } = loadDaemonConfig({ env: process.env });
 * const engine = await PeerEngine.start({ profile: PEER_PROFILE, config, log, version: '0.1.0' });
 * // serve engine.bindings() at engine.grpc, then
 * await engine.join(uploadPort);
 * ```
 * @packageDocumentation
 */
export { loadDaemonConfig, type LoadDaemonConfigOptions, type LoadedDaemonConfig } from './config/load.js';
export type { DefaultPlaces } from './config/places.js';
export type { DaemonConfig } from './config/schema.js';
export type { SourceProxy } from './data-plane.js';
export { DOWNLOAD_HEADERS_WITHIN_MS, type DownloadService } from './download-service/download-service.js';
export { PeerEngine } from './engine.js';
export { readinessConditions, type GrpcEndpoints, type PeerEngineOptions } from './engine-options.js';
export { effectiveProfile, PEER_PROFILE, SEED_PROFILE, type RoleProfile } from './role-profile.js';
export type { UploadService } from './upload/upload-service.js';
