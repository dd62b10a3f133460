import { DfError } from '@dragonfly/errors';
import {
  accessTokenHash,
  Database,
  isAccessTokenHash,
  PersonalAccessTokenEntity,
  TokenLimitEntity,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock.js';
import type { ScopeParts } from './tenant-scope.js';

/** A token that may be used, and what it is limited to besides its owner. */
export interface VerifiedToken {
  row: PersonalAccessTokenEntity;
  limits: Pick<ScopeParts, 'clusterIds' | 'applications'>;
}

/** Rows that are hashed in one transaction when they are found in clear. */
const UPGRADE_BATCH = 500;

/** Personal access tokens as they are used. */
@Injectable()
export class AccessTokenVerifier {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * Checks a personal access token for one scope (`job`, `cluster`).
   * @throws DfError `unauthenticated` for an unknown token, `permission-denied` for one that is inactive, over or lacks
   * the scope; an empty list of scopes grants all, as in rows of older managers
   */
  async verify(token: string, scope: string): Promise<VerifiedToken> {
    const { manager } = this.database;
    const row = (await this.byHash(manager, token)) ?? (await this.inClear(token));
    if (!row) {
      throw new DfError('unauthenticated', 'personal access token is unknown');
    }
    if (row.state !== 'active') {
      throw new DfError('permission-denied', 'Token is inactive');
    }
    if (row.expiredAt <= this.clock.now()) {
      throw new DfError('permission-denied', 'Token has expired');
    }
    if (row.scopes.length > 0 && !row.scopes.includes(scope)) {
      throw new DfError(
        'permission-denied',
        `Token doesn't have permission to access this resource. Required permission: ${scope}`,
      );
    }
    const limit = await manager.findOneBy(TokenLimitEntity, { tokenId: row.id });
    return { row, limits: tokenLimits(limit) };
  }

  /** Hashes the tokens that an original manager left in clear. */
  async hashClearTokens(): Promise<number> {
    let hashed = 0;
    for (;;) {
      const found = await this.database.transaction(async (manager) => {
        const rows = await manager
          .createQueryBuilder(PersonalAccessTokenEntity, 't')
          .where(`t.token NOT LIKE 'sha256:%'`)
          .orderBy('t.id')
          .take(UPGRADE_BATCH)
          .getMany();
        for (const row of rows) {
          await hashInPlace(manager, row);
        }
        return rows.length;
      });
      hashed += found;
      if (found < UPGRADE_BATCH) {
        return hashed;
      }
    }
  }

  private byHash(manager: EntityManager, token: string): Promise<PersonalAccessTokenEntity | null> {
    return manager.findOneBy(PersonalAccessTokenEntity, { token: accessTokenHash(token), isDel: 0 });
  }

  /** A row that an original manager on the same database has just written; it is hashed now. */
  private async inClear(token: string): Promise<PersonalAccessTokenEntity | null> {
    if (isAccessTokenHash(token)) {
      return null;
    }
    const row = await this.database.manager.findOneBy(PersonalAccessTokenEntity, { token, isDel: 0 });
    // The engine may compare without regard to case.
    if (row?.token !== token) {
      return null;
    }
    await this.database.transaction((manager) => hashInPlace(manager, row));
    return row;
  }
}

async function hashInPlace(manager: EntityManager, row: PersonalAccessTokenEntity): Promise<void> {
  await manager.update(
    PersonalAccessTokenEntity,
    { id: row.id, token: row.token },
    { token: accessTokenHash(row.token) },
  );
}

/** @param row null = a token without limits of its own */
export function tokenLimits(row: TokenLimitEntity | null): VerifiedToken['limits'] {
  const { scheduler_cluster_ids: clusterIds, applications } = row?.limits ?? {};
  return {
    ...(Array.isArray(clusterIds) ? { clusterIds: clusterIds.map(Number) } : {}),
    ...(Array.isArray(applications) ? { applications: applications.map(String) } : {}),
  };
}
