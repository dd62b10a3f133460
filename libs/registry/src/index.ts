/**
 * Outgoing HTTP whose URLs somebody else chose, and what an image consists of.
 *
 * ```ts
 * const guard = new AddressGuard({ allow: ['private'] });
 * const resolver = new ImageResolver({ guard });
 * const { blobs, authorization } = await resolver.resolve({
 *   url: 'https://registry.example/v2/library/alpine/manifests/3.20',
 *   platforms: ['linux/amd64'],
 *   signal: AbortSignal.timeout(60_000),
 * });
 * ```
 * @packageDocumentation
 */
export {
  AddressGuard,
  addressKind,
  type AddressKind,
  type AddressPolicy,
  type AllowedAddressKind,
} from './address-guard.js';
export {
  guardedAgent,
  type GuardedAgentOptions,
  type OutgoingTls,
  pemOfDer,
  type ResolveHost,
} from './guarded-agent.js';
export { GuardedHttp, type GuardedRequest, type GuardedResponse } from './guarded-http.js';
export {
  type ImageBlob,
  ImageResolver,
  type ImageResolverOptions,
  type ResolvedImage,
  type ResolveImageRequest,
} from './image-resolver.js';
export { type ManifestUrl, parseManifestUrl } from './manifest-url.js';
export type { BlobDescriptor } from './manifest.js';
export { nextPage } from './next-page.js';
export { formatPlatform, parsePlatform, type Platform } from './platform.js';
export { type ReadTagsRequest, TagReader } from './tag-reader.js';
