import type { commonV2 } from '@dragonfly/proto';

/** Keys in the two forms of protobuf's JSON: as in the .proto, and in camel case. */
export function textOf(object: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const camel = name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  const value = object[name] ?? object[camel];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function objectStorageOf(object: Readonly<Record<string, unknown>>): commonV2.ObjectStorage {
  return {
    region: textOf(object, 'region'),
    endpoint: textOf(object, 'endpoint'),
    accessKeyId: textOf(object, 'access_key_id'),
    accessKeySecret: textOf(object, 'access_key_secret'),
    sessionToken: textOf(object, 'session_token'),
    credentialPath: textOf(object, 'credential_path'),
    predefinedAcl: textOf(object, 'predefined_acl'),
    securityToken: textOf(object, 'security_token'),
    insecureSkipVerify: object['insecure_skip_verify'] === true || object['insecureSkipVerify'] === true || undefined,
  };
}
