import { EntitySchema } from 'typeorm';
import { CertificateAuthorityEntity, CertificateEntity, JoinTokenEntity } from './certificate-entities.js';
import type { Columns } from './columns.js';

const OPTIONAL = { nullable: true } as const;

/** Schemas of the tables about certificates. */
export function certificateEntitySchemas(c: Columns): EntitySchema[] {
  return [
    new EntitySchema<CertificateAuthorityEntity>({
      name: CertificateAuthorityEntity.name,
      tableName: 'certificate_authority',
      target: CertificateAuthorityEntity,
      columns: {
        ...c.resource(),
        fingerprint: c.varchar('fingerprint', 64),
        certificate: c.longText('certificate'),
        sealedKey: c.longText('sealed_key', OPTIONAL),
        signsFrom: c.dateTime('signs_from'),
        expiresAt: c.dateTime('expires_at'),
      },
      indices: [{ name: 'uk_certificate_authority_fingerprint', columns: ['fingerprint'], unique: true }],
    }),
    new EntitySchema<CertificateEntity>({
      name: CertificateEntity.name,
      tableName: 'certificate',
      target: CertificateEntity,
      columns: {
        ...c.resource(),
        serial: c.varchar('serial', 64),
        commonName: c.varchar('common_name', 64),
        names: c.jsonList('names'),
        authorityFingerprint: c.varchar('authority_fingerprint', 64),
        expiresAt: c.dateTime('expires_at'),
        revokedAt: c.dateTime('revoked_at'),
      },
      indices: [
        { name: 'uk_certificate_serial', columns: ['serial'], unique: true },
        { name: 'idx_certificate_expires_at', columns: ['expiresAt'] },
      ],
    }),
    new EntitySchema<JoinTokenEntity>({
      name: JoinTokenEntity.name,
      tableName: 'join_token',
      target: JoinTokenEntity,
      columns: {
        ...c.resource(),
        secretHash: c.varchar('secret_hash', 64),
        bio: c.varchar('bio', 1024, OPTIONAL),
        names: c.jsonList('names'),
        expiresAt: c.dateTime('expires_at'),
        usedAt: c.dateTime('used_at'),
        serial: c.varchar('serial', 64, OPTIONAL),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
      indices: [{ name: 'uk_join_token_secret_hash', columns: ['secretHash'], unique: true }],
    }),
  ];
}
