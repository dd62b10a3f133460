import { DfError } from '@dragonfly/errors';
import { checkKey, checkMemberLimit, checkRecordCount, checkTtl } from './arguments.js';
import { ExpiringMap } from './expiring-map.js';
import type { KvCallOptions, KvWriteOptions } from './key-value-store.js';
import { type RecordCondition, type RecordFields, RecordStore, type StoredRecord } from './record-store.js';

/** Records and sets of one process. */
export class MemoryRecordStore extends RecordStore {
  private readonly records: ExpiringMap<Map<string, Buffer>>;
  private readonly sets: ExpiringMap<Set<string>>;
  private closed = false;

  constructor(maxKeys: number, now: () => number) {
    super();
    this.records = new ExpiringMap(maxKeys, now);
    this.sets = new ExpiringMap(maxKeys, now);
  }

  override async read(key: string, options?: KvCallOptions): Promise<StoredRecord | undefined> {
    this.check(key, options);
    const record = this.records.get(key);
    return record === undefined ? undefined : new Map(record);
  }

  override async readAll(keys: readonly string[], options?: KvCallOptions): Promise<(StoredRecord | undefined)[]> {
    checkRecordCount(keys.length);
    return Promise.all(keys.map((key) => this.read(key, options)));
  }

  override async write(key: string, fields: RecordFields, options?: KvWriteOptions): Promise<void> {
    this.check(key, options);
    this.put(key, fields, options?.ttlMs);
  }

  override async writeIf(
    key: string,
    condition: RecordCondition,
    fields: RecordFields,
    options?: KvWriteOptions,
  ): Promise<boolean> {
    this.check(key, options);
    const record = this.records.get(key);
    if (!condition.isOneOf.includes(record && (record.get(condition.field)?.toString() ?? ''))) return false;
    this.put(key, fields, options?.ttlMs);
    return true;
  }

  override async delete(key: string, options?: KvCallOptions): Promise<boolean> {
    this.check(key, options);
    const wasRecord = this.records.delete(key);
    return this.sets.delete(key) || wasRecord;
  }

  override async addMember(key: string, member: string, options?: KvWriteOptions): Promise<void> {
    this.check(key, options);
    const members = this.sets.get(key);
    if (members === undefined) {
      this.sets.set(key, new Set([member]), options?.ttlMs);
      return;
    }
    members.add(member);
    if (options?.ttlMs !== undefined) this.sets.prolong(key, options.ttlMs);
  }

  override async removeMember(key: string, member: string, options?: KvCallOptions): Promise<boolean> {
    this.check(key, options);
    const members = this.sets.get(key);
    const wasMember = members?.delete(member) ?? false;
    if (members?.size === 0) this.sets.delete(key);
    return wasMember;
  }

  override async members(key: string, limit: number, options?: KvCallOptions): Promise<string[]> {
    this.check(key, options);
    checkMemberLimit(limit);
    const members = [...(this.sets.get(key) ?? [])];
    // A few steps of a shuffle: the first `limit` places are a fair sample.
    for (let place = 0; place < limit && place < members.length - 1; place++) {
      const other = place + Math.floor(Math.random() * (members.length - place));
      [members[place], members[other]] = [members[other] ?? '', members[place] ?? ''];
    }
    return members.slice(0, limit);
  }

  override async memberCount(key: string, options?: KvCallOptions): Promise<number> {
    this.check(key, options);
    return this.sets.get(key)?.size ?? 0;
  }

  override async hasMember(key: string, member: string, options?: KvCallOptions): Promise<boolean> {
    this.check(key, options);
    return this.sets.get(key)?.has(member) ?? false;
  }

  close(): void {
    this.closed = true;
    this.records.clear();
    this.sets.clear();
  }

  private put(key: string, fields: RecordFields, ttlMs: number | undefined): void {
    const record = this.records.get(key) ?? new Map<string, Buffer>();
    const isNew = record.size === 0;
    for (const [name, value] of Object.entries(fields)) record.set(name, Buffer.from(value));
    if (isNew || ttlMs !== undefined) this.records.set(key, record, ttlMs);
  }

  private check(key: string, options: KvWriteOptions | undefined): void {
    if (this.closed) throw new DfError('unavailable', 'key-value store is closed');
    if (options?.signal?.aborted) throw DfError.from(options.signal.reason, 'cancelled');
    checkKey(key);
    checkTtl(options?.ttlMs);
  }
}
