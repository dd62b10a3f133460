import { ConfigEntity, Database, insertRow, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { gcTtlProblem } from '../gc/gc-ttl.js';
import { pageOf } from '../rest/pagination.js';
import { invalidRequest } from '../rest/request-decorators.js';
import { pageOfRows, rowById } from '../rest/resource-rows.js';
import { configBody, type ConfigBody } from './config-bodies.js';
import type { CreateConfigRequest, GetConfigsQuery, UpdateConfigRequest } from './config-requests.js';

/** Named values that consoles and the garbage collection keep. */
@Injectable()
export class ConfigsService {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `already-exists` (name), `invalid-argument` (the value of `gc`) */
  async create(request: CreateConfigRequest): Promise<ConfigBody> {
    checkValue(request.name, request.value);
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, ConfigEntity, now, {
        name: request.name,
        value: request.value,
        bio: request.bio ?? '',
        userId: request.user_id,
      });
      return rowById(manager, ConfigEntity, id);
    });
    return configBody(row);
  }

  async get(id: number): Promise<ConfigBody> {
    return configBody(await rowById(this.database.manager, ConfigEntity, id));
  }

  async list(query: GetConfigsQuery): Promise<{ bodies: ConfigBody[]; total: number }> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      ConfigEntity,
      { name: query.name, value: query.value, userId: query.user_id },
      pageOf(query),
    );
    return { bodies: rows.map((row) => configBody(row)), total };
  }

  /** Parts that are left out stay as they are. @throws DfError as {@link create} does */
  async update(id: number, request: UpdateConfigRequest): Promise<ConfigBody> {
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      const former = await rowById(manager, ConfigEntity, id);
      if (request.name || request.value) {
        checkValue(request.name || former.name, request.value || former.value);
      }
      await updateRow(manager, ConfigEntity, now, id, {
        name: request.name || undefined,
        value: request.value || undefined,
        bio: request.bio,
        userId: request.user_id || undefined,
      });
      return rowById(manager, ConfigEntity, id);
    });
    return configBody(row);
  }

  async delete(id: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      await rowById(manager, ConfigEntity, id);
      await manager.delete(ConfigEntity, { id });
    });
  }
}

/** One name means something to the manager itself; the others are whatever consoles keep. */
function checkValue(name: string, value: string): void {
  const problem = name === 'gc' ? gcTtlProblem(value) : undefined;
  if (problem !== undefined) {
    throw invalidRequest(`value: ${problem}`);
  }
}
