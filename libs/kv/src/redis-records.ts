import { checkKey, checkMemberLimit, checkRecordCount, checkTtl } from './arguments.js';
import type { KvCallOptions, KvWriteOptions } from './key-value-store.js';
import { type RecordCondition, type RecordFields, RecordStore, type StoredRecord } from './record-store.js';
import type { RedisConnection } from './redis-connection.js';

// ARGV: number of allowed values, field of the condition, allowed values ("+" before each, "-" for an absent record),
// time to live or '', then names and values.
const WRITE_IF = `
local allowed = tonumber(ARGV[1])
if allowed > 0 then
  local held = '-'
  if redis.call('EXISTS', KEYS[1]) == 1 then held = '+' .. (redis.call('HGET', KEYS[1], ARGV[2]) or '') end
  local holds = false
  for i = 3, 2 + allowed do if ARGV[i] == held then holds = true end end
  if not holds then return 0 end
end
redis.call('HSET', KEYS[1], unpack(ARGV, allowed + 4))
if ARGV[allowed + 3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[allowed + 3]) end
return 1`;

const ADD_MEMBER = `
local left = redis.call('PTTL', KEYS[1])
redis.call('SADD', KEYS[1], ARGV[1])
if ARGV[2] ~= '' and (left == -2 or (left >= 0 and left < tonumber(ARGV[2]))) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1`;

/** Records and sets of a Redis server: hashes and sets. */
export class RedisRecordStore extends RecordStore {
  constructor(private readonly connection: RedisConnection) {
    super();
  }

  override async read(key: string, options?: KvCallOptions): Promise<StoredRecord | undefined> {
    checkKey(key);
    return recordOf(
      await this.connection.run('HGETALL', options?.signal, () => this.connection.redis.hgetallBuffer(key)),
    );
  }

  override async readAll(keys: readonly string[], options?: KvCallOptions): Promise<(StoredRecord | undefined)[]> {
    checkRecordCount(keys.length);
    for (const key of keys) checkKey(key);
    if (keys.length === 0) return [];
    // All commands go out at once, and their answers come in one go.
    return this.connection.run('HGETALL', options?.signal, () =>
      Promise.all(keys.map(async (key) => recordOf(await this.connection.redis.hgetallBuffer(key)))),
    );
  }

  override async write(key: string, fields: RecordFields, options?: KvWriteOptions): Promise<void> {
    await this.writeWhen(key, { field: '', isOneOf: [] }, fields, options);
  }

  override async writeIf(
    key: string,
    condition: RecordCondition,
    fields: RecordFields,
    options?: KvWriteOptions,
  ): Promise<boolean> {
    if (condition.isOneOf.length === 0) return false;
    return this.writeWhen(key, condition, fields, options);
  }

  override async delete(key: string, options?: KvCallOptions): Promise<boolean> {
    checkKey(key);
    return (await this.connection.run('DEL', options?.signal, () => this.connection.redis.del(key))) === 1;
  }

  override async addMember(key: string, member: string, options?: KvWriteOptions): Promise<void> {
    checkKey(key);
    await this.connection.run('add member', options?.signal, () =>
      this.connection.redis.eval(ADD_MEMBER, 1, key, member, ttlArgument(options)),
    );
  }

  override async removeMember(key: string, member: string, options?: KvCallOptions): Promise<boolean> {
    checkKey(key);
    return (await this.connection.run('SREM', options?.signal, () => this.connection.redis.srem(key, member))) === 1;
  }

  override async members(key: string, limit: number, options?: KvCallOptions): Promise<string[]> {
    checkKey(key);
    checkMemberLimit(limit);
    return this.connection.run('SRANDMEMBER', options?.signal, () => this.connection.redis.srandmember(key, limit));
  }

  override async memberCount(key: string, options?: KvCallOptions): Promise<number> {
    checkKey(key);
    return this.connection.run('SCARD', options?.signal, () => this.connection.redis.scard(key));
  }

  override async hasMember(key: string, member: string, options?: KvCallOptions): Promise<boolean> {
    checkKey(key);
    const answer = await this.connection.run('SISMEMBER', options?.signal, () =>
      this.connection.redis.sismember(key, member),
    );
    return answer === 1;
  }

  private async writeWhen(
    key: string,
    { field, isOneOf }: RecordCondition,
    fields: RecordFields,
    options: KvWriteOptions | undefined,
  ): Promise<boolean> {
    checkKey(key);
    const answer = await this.connection.run('write record', options?.signal, () =>
      this.connection.redis.eval(
        WRITE_IF,
        1,
        key,
        String(isOneOf.length),
        field,
        ...isOneOf.map((value) => (value === undefined ? '-' : `+${value}`)),
        ttlArgument(options),
        ...Object.entries(fields).flat(),
      ),
    );
    return answer === 1;
  }
}

/** Redis has no empty hashes: no fields means that there is none. */
function recordOf(fields: Record<string, Buffer>): StoredRecord | undefined {
  const entries = Object.entries(fields);
  return entries.length === 0 ? undefined : new Map(entries);
}

/** Whole ms, as Redis wants them. */
function ttlArgument(options: KvWriteOptions | undefined): string {
  checkTtl(options?.ttlMs);
  return options?.ttlMs === undefined ? '' : String(Math.ceil(options.ttlMs));
}
