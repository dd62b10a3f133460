import { DfError } from '@dragonfly/errors';
import type { Platform } from './platform.js';

/** One blob that a manifest names. */
export interface BlobDescriptor {
  /** e.g. `sha256:…` */
  readonly digest: string;
  /** 0 when the manifest does not say. */
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly kind: 'config' | 'layer';
}

/** One manifest that an index names. */
export interface ManifestDescriptor {
  readonly digest: string;
  readonly mediaType: string;
  /** Undefined when the index does not say. */
  readonly platform: Platform | undefined;
}

export type ParsedManifest =
  | { readonly kind: 'image'; readonly blobs: readonly BlobDescriptor[] }
  | { readonly kind: 'index'; readonly manifests: readonly ManifestDescriptor[] };

const DOCKER = 'application/vnd.docker.distribution.manifest';
const OCI = 'application/vnd.oci.image';
const INDEX_TYPES: ReadonlySet<string> = new Set([`${DOCKER}.list.v2+json`, `${OCI}.index.v1+json`]);
const SCHEMA1_TYPES: ReadonlySet<string> = new Set([`${DOCKER}.v1+json`, `${DOCKER}.v1+prettyjws`]);

/** What a registry is asked for: it answers with the first kind that it has. */
export const MANIFEST_ACCEPT = [
  `${OCI}.index.v1+json`,
  `${DOCKER}.list.v2+json`,
  `${OCI}.manifest.v1+json`,
  `${DOCKER}.v2+json`,
  ...[...SCHEMA1_TYPES].map((type) => `${type};q=0.5`),
].join(', ');

/** Entries of one manifest or index. The largest known images have a few hundred. */
const MAX_ENTRIES = 2_048;
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{1,256}$/;

/**
 * Reads an image manifest or index: Docker schema 1, schema 2 and manifest list, OCI manifest and index. What it is
 * follows from its content; `contentType` only decides where the content does not say.
 * @throws DfError `invalid-argument` naming what is wrong
 */
export function parseManifest(body: Buffer, contentType: string): ParsedManifest {
  const root = record(parseJson(body), 'manifest');
  const mediaType = text(root['mediaType']) ?? contentType.split(';')[0]?.trim() ?? '';
  if (INDEX_TYPES.has(mediaType) || Array.isArray(root['manifests'])) return index(root);
  if (SCHEMA1_TYPES.has(mediaType) || root['schemaVersion'] === 1) return schema1(root);
  if (root['layers'] === undefined && root['config'] === undefined) {
    throw new DfError('invalid-argument', `${mediaType || 'the answer'} is no image manifest`);
  }
  const config = root['config'] === undefined ? [] : [blob(root['config'], 'config', 'config')];
  const layers = list(root['layers'] ?? [], 'layers').map((entry, i) => blob(entry, 'layer', `layers[${i}]`));
  return { kind: 'image', blobs: [...config, ...layers] };
}

function index(root: Record<string, unknown>): ParsedManifest {
  const manifests = list(root['manifests'], 'manifests').map((entry, i) => {
    const fields = record(entry, `manifests[${i}]`);
    return {
      digest: digest(fields['digest'], `manifests[${i}].digest`),
      mediaType: text(fields['mediaType']) ?? '',
      platform: platform(fields['platform']),
    };
  });
  return { kind: 'index', manifests };
}

function schema1(root: Record<string, unknown>): ParsedManifest {
  const blobs = list(root['fsLayers'], 'fsLayers').map((entry, i) => ({
    digest: digest(record(entry, `fsLayers[${i}]`)['blobSum'], `fsLayers[${i}].blobSum`),
    sizeBytes: 0,
    mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    kind: 'layer' as const,
  }));
  return { kind: 'image', blobs };
}

function blob(value: unknown, kind: BlobDescriptor['kind'], name: string): BlobDescriptor {
  const fields = record(value, name);
  const size = fields['size'];
  return {
    digest: digest(fields['digest'], `${name}.digest`),
    sizeBytes: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : 0,
    mediaType: text(fields['mediaType']) ?? '',
    kind,
  };
}

function platform(value: unknown): Platform | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const os = text(fields['os']);
  const architecture = text(fields['architecture']);
  if (os === undefined || architecture === undefined) return undefined;
  return { os, architecture, variant: text(fields['variant']) ?? '' };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new DfError('invalid-argument', 'the answer is no JSON', { cause: error });
  }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DfError('invalid-argument', `${name} is no JSON object`);
  }
  return value as Record<string, unknown>;
}

function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw new DfError('invalid-argument', `${name} is no list`);
  if (value.length > MAX_ENTRIES) throw new DfError('invalid-argument', `${name} has more than ${MAX_ENTRIES} entries`);
  return value as unknown[];
}

function digest(value: unknown, name: string): string {
  if (typeof value !== 'string' || !DIGEST.test(value)) throw new DfError('invalid-argument', `${name} is no digest`);
  return value;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
