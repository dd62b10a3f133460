/**
 * Query parameters that say who asks and until when, not what is asked: signatures of object storages and the mirror
 * name space of containerd. The proxy, preheating and dfget without its flag leave them out of the task id.
 * Same list as Dragonfly's Go and Rust parts.
 */
export const DEFAULT_FILTERED_QUERY_PARAMS: readonly string[] = Object.freeze([
  // Amazon S3
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
  'X-Amz-User-Agent',
  // Google Cloud Storage
  'X-Goog-Algorithm',
  'X-Goog-Credential',
  'X-Goog-Date',
  'X-Goog-Expires',
  'X-Goog-SignedHeaders',
  'X-Goog-Signature',
  // Alibaba Cloud OSS
  'OSSAccessKeyId',
  'Expires',
  'Signature',
  'SecurityToken',
  // Huawei Cloud OBS (shares Signature and Expires with OSS)
  'AccessKeyId',
  'X-Obs-Date',
  'X-Obs-Security-Token',
  // Tencent Cloud COS
  'q-sign-algorithm',
  'q-ak',
  'q-sign-time',
  'q-key-time',
  'q-header-list',
  'q-url-param-list',
  'q-signature',
  'x-cos-security-token',
  // containerd
  'ns',
]);
