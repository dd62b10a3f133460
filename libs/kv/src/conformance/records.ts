import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import type { StoredRecord } from '../record-store.js';
import type { KvConformanceCase } from './fixture.js';

const texts = (record: StoredRecord | undefined): Record<string, string> | undefined =>
  record && Object.fromEntries(Array.from(record, ([name, value]) => [name, value.toString()]));

/** Cases for records and sets. */
export const recordCases: readonly KvConformanceCase[] = [
  {
    name: 'gives back the fields of a record, any bytes among them, and undefined for an absent one',
    run: async ({ kv, second }) => {
      const key = randomUUID();
      assert.equal(await kv.records.read(key), undefined);
      const bytes = randomBytes(2_000);
      await kv.records.write(key, { text: 'späße \u{1f409}', bytes, empty: '' });
      const record = await second.records.read(key);
      assert.deepEqual(record?.get('bytes'), bytes);
      assert.equal(record?.get('text')?.toString(), 'späße \u{1f409}');
      assert.equal(record?.get('empty')?.length, 0);
    },
  },
  {
    name: 'writes some fields of a record and leaves the others alone',
    run: async ({ kv, passTime }) => {
      const key = randomUUID();
      await kv.records.write(key, { a: '1', b: '1' }, { ttlMs: 60 });
      await kv.records.write(key, { b: '2', c: '2' });
      assert.deepEqual(texts(await kv.records.read(key)), { a: '1', b: '2', c: '2' });
      // The second write named no time to live, so the first one holds.
      await passTime(80);
      assert.equal(await kv.records.read(key), undefined);
      await kv.records.write(key, { a: '1' }, { ttlMs: 60 });
      await kv.records.write(key, { a: '2' }, { ttlMs: 60_000 });
      await passTime(80);
      assert.deepEqual(texts(await kv.records.read(key)), { a: '2' });
    },
  },
  {
    name: 'writes a record under a condition exactly once among concurrent writers',
    run: async ({ kv, second }) => {
      const key = randomUUID();
      const begin = { field: 'state', isOneOf: [undefined, 'Failed'] };
      const race = (): Promise<boolean[]> =>
        Promise.all(
          Array.from({ length: 20 }, (_, i) =>
            (i % 2 ? kv : second).records.writeIf(key, begin, { state: 'Uploading', by: String(i) }, { ttlMs: 5_000 }),
          ),
        );
      assert.equal((await race()).filter(Boolean).length, 1);
      assert.equal((await race()).filter(Boolean).length, 0);
      await kv.records.write(key, { state: 'Failed' });
      assert.equal((await race()).filter(Boolean).length, 1);
      assert.equal(await kv.records.writeIf(key, { field: 'other', isOneOf: ['x', undefined] }, { by: 'me' }), false);
      assert.equal(await kv.records.writeIf(key, { field: 'other', isOneOf: [''] }, { other: 'x' }), true);
      assert.equal(await kv.records.writeIf(key, { field: 'other', isOneOf: [] }, { other: 'y' }), false);
      assert.equal(texts(await kv.records.read(key))?.['other'], 'x');
    },
  },
  {
    name: 'reads many records in the order of their keys',
    run: async ({ kv }) => {
      const keys = Array.from({ length: 50 }, () => randomUUID());
      for (const [i, key] of keys.entries()) if (i % 3) await kv.records.write(key, { i: String(i) });
      const read = await kv.records.readAll(keys);
      assert.deepEqual(
        read.map((record) => texts(record)?.['i']),
        keys.map((_, i) => (i % 3 ? String(i) : undefined)),
      );
      assert.deepEqual(await kv.records.readAll([]), []);
      await assert.rejects(
        kv.records.readAll(Array.from({ length: 10_001 }, String)),
        (error) => error instanceof DfError && error.code === 'invalid-argument',
      );
    },
  },
  {
    name: 'keeps sets of members, hands out at most as many as asked for, and forgets an empty set',
    run: async ({ kv, second }) => {
      const key = randomUUID();
      const all = Array.from({ length: 30 }, (_, i) => `member-${i}`);
      assert.deepEqual(await kv.records.members(key, 10), []);
      await Promise.all([...all, ...all].map((member) => kv.records.addMember(key, member)));
      assert.equal(await second.records.memberCount(key), 30);
      assert.deepEqual((await second.records.members(key, 100)).sort(), [...all].sort());
      const some = await kv.records.members(key, 10);
      assert.equal(new Set(some).size, 10);
      assert.ok(some.every((member) => all.includes(member)));
      assert.equal(await kv.records.hasMember(key, 'member-3'), true);
      assert.equal(await kv.records.removeMember(key, 'member-3'), true);
      assert.equal(await kv.records.removeMember(key, 'member-3'), false);
      assert.equal(await kv.records.hasMember(key, 'member-3'), false);
      for (const member of all) await kv.records.removeMember(key, member);
      assert.equal(await kv.records.memberCount(key), 0);
      assert.equal(await kv.records.delete(key), false);
    },
  },
  {
    name: 'lets a set live as long as its longest-lived member was promised',
    run: async ({ kv, passTime }) => {
      const key = randomUUID();
      await kv.records.addMember(key, 'long', { ttlMs: 250 });
      await kv.records.addMember(key, 'short', { ttlMs: 20 });
      await passTime(100);
      assert.equal(await kv.records.memberCount(key), 2);
      await kv.records.addMember(key, 'longer', { ttlMs: 400 });
      await passTime(250);
      assert.equal(await kv.records.memberCount(key), 3);
      await passTime(250);
      assert.equal(await kv.records.memberCount(key), 0);
    },
  },
  {
    name: 'says whether a deleted record or set was there',
    run: async ({ kv }) => {
      const [record, members] = [randomUUID(), randomUUID()];
      await kv.records.write(record, { a: '1' });
      await kv.records.addMember(members, 'a');
      for (const key of [record, members]) {
        assert.equal(await kv.records.delete(key), true);
        assert.equal(await kv.records.delete(key), false);
      }
      assert.equal(await kv.records.read(record), undefined);
      assert.equal(await kv.records.memberCount(members), 0);
    },
  },
];
