import type { KvCallOptions, KvWriteOptions } from './key-value-store.js';

/** Most members that one {@link RecordStore.members} hands out, whatever the caller asks for. */
export const MAX_MEMBERS = 10_000;
/** Most records that one {@link RecordStore.readAll} reads. */
export const MAX_RECORDS = 10_000;

/** Fields of a record; a value may be any bytes. */
export type RecordFields = Readonly<Record<string, string | Buffer>>;

/** A record as it was read; every field as the bytes that were written. */
export type StoredRecord = ReadonlyMap<string, Buffer>;

/** When a {@link RecordStore.writeIf} may write. */
export interface RecordCondition {
  readonly field: string;
  /** Values of the field that allow the write; `undefined` stands for a record that is absent. */
  readonly isOneOf: readonly (string | undefined)[];
}

/**
 * Records of named fields and sets of members, shared by all processes that use the same store: what a key-value pair is
 * too coarse for because several write parts of it. In Redis these are hashes and sets under the very keys.
 *
 * Keys, times to live and errors are as in `KeyValueStore`; every operation on one key is atomic. A key belongs to one
 * of the three kinds (text, record, set): the memory store keeps them apart, Redis fails with `failed-precondition`
 * when they are mixed up.
 */
export abstract class RecordStore {
  /** All fields; undefined when absent. */
  abstract read(key: string, options?: KvCallOptions): Promise<StoredRecord | undefined>;

  /** The same for many keys (≤ {@link MAX_RECORDS}) in one round trip, in their order. */
  abstract readAll(keys: readonly string[], options?: KvCallOptions): Promise<(StoredRecord | undefined)[]>;

  /** Writes the given fields and leaves others alone; with `ttlMs` the record's time to live is set anew. */
  abstract write(key: string, fields: RecordFields, options?: KvWriteOptions): Promise<void>;

  /** Writes as `write` does, when the condition holds now. Returns whether it was written. */
  abstract writeIf(
    key: string,
    condition: RecordCondition,
    fields: RecordFields,
    options?: KvWriteOptions,
  ): Promise<boolean>;

  /** Deletes a record or a set. Returns whether it was there. */
  abstract delete(key: string, options?: KvCallOptions): Promise<boolean>;

  /** Adds a member; with `ttlMs` the set lives at least that much longer, never less long than before. */
  abstract addMember(key: string, member: string, options?: KvWriteOptions): Promise<void>;

  /** Removes a member; a set without members is absent. Returns whether it was one. */
  abstract removeMember(key: string, member: string, options?: KvCallOptions): Promise<boolean>;

  /** The members in no order, at most `limit` (≤ {@link MAX_MEMBERS}): of a larger set some at random. */
  abstract members(key: string, limit: number, options?: KvCallOptions): Promise<string[]>;

  /** How many members there are. */
  abstract memberCount(key: string, options?: KvCallOptions): Promise<number>;

  /** Whether the text is a member. */
  abstract hasMember(key: string, member: string, options?: KvCallOptions): Promise<boolean>;
}
