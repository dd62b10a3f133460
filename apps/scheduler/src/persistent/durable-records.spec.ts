import { PieceSet } from '@dragonfly/scheduling';
import { commonV2 } from '@dragonfly/proto';
import fc from 'fast-check';
import {
  type DurablePeer,
  type DurableTask,
  peerFields,
  peerOfFields,
  taskFields,
  taskOfFields,
} from './durable-records.js';
import { hostFields, hostOfFields } from './host-record.js';
import { decodePieces, encodePieces } from './piece-bitset.js';

const SEED = 20_260_801;

function pieces(...numbers: number[]): PieceSet {
  const set = new PieceSet();
  for (const number of numbers) set.add(number);
  return set;
}

function stored(fields: Readonly<Record<string, string | Buffer>>): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value)]));
}

const task: DurableTask = {
  id: 'task',
  state: 'Uploading',
  replicaCount: 2n ** 64n - 1n,
  contentLengthBytes: 12_582_912n,
  pieceCount: 3,
  ttlMs: 604_800_000,
  createdAtMs: 1_754_000_000_123,
  updatedAtMs: 1_754_000_001_000,
  url: 's3://bucket/späße',
  region: 'eu',
  endpoint: '',
  tag: 'blue',
  application: '',
  pieceLengthBytes: 4_194_304n,
};

const peer: DurablePeer = {
  id: 'peer',
  taskId: 'task',
  hostId: 'host',
  state: 'Running',
  isPersistent: true,
  pieces: pieces(0, 2, 64),
  blockedParents: ['a', 'b "c"'],
  costMs: 1500,
  concurrentPieceCount: 8,
  createdAtMs: 1_754_000_000_000,
  updatedAtMs: 1_754_000_000_000,
};

describe('records of the store', () => {
  it('a task and a peer come back as they were written', () => {
    expect(taskOfFields(stored(taskFields(task)))).toEqual(task);
    const read = peerOfFields(stored(peerFields(peer)));
    expect({ ...read, pieces: [...(read?.pieces ?? [])] }).toEqual({ ...peer, pieces: [0, 2, 64] });
  });

  it('have the forms of the original: durations in ns, times in RFC 3339, flags 1 and 0, lists as JSON', () => {
    expect(taskFields(task)).toMatchObject({ ttl: '604800000000000', created_at: '2025-07-31T22:13:20.123Z' });
    expect(peerFields(peer)).toMatchObject({ persistent: '1', cost: '1500000000', block_parents: '["a","b \\"c\\""]' });
  });

  it('of a task written by the original can be read', () => {
    const read = taskOfFields(
      stored({
        id: 'task',
        persistent_replica_count: '2',
        tag: '',
        application: '',
        piece_length: '4194304',
        content_length: '19',
        total_piece_count: '1',
        state: 'Succeeded',
        ttl: '3600000000000',
        created_at: '2026-08-01T10:00:00+02:00',
        updated_at: '2026-08-01T10:00:05+02:00',
      }),
    );
    expect(read).toMatchObject({ ttlMs: 3_600_000, createdAtMs: Date.UTC(2026, 7, 1, 8), contentLengthBytes: 19n });
  });

  it('that make no sense are as good as absent', () => {
    expect(taskOfFields(stored({}))).toBeUndefined();
    expect(taskOfFields(stored({ ...taskFields(task), state: 'Sleeping' }))).toBeUndefined();
    expect(taskOfFields(stored({ ...taskFields(task), created_at: 'yesterday' }))).toBeUndefined();
    expect(peerOfFields(stored({ ...peerFields(peer), state: 'toString' }))).toBeUndefined();
    expect(peerOfFields(stored({ ...peerFields(peer), block_parents: '{' }))?.blockedParents).toEqual([]);
  });

  it('of a host come back with what is needed to reach and to score it', () => {
    const host = commonV2.Host.fromPartial({
      id: 'h',
      type: 1,
      hostname: 'h',
      ip: '127.0.0.1',
      port: 4000,
      downloadPort: 4001,
      disableShared: true,
      network: { idc: 'dc', location: 'eu|de', maxTxBandwidth: 5n },
      disk: { free: 7n, total: 9n },
    });
    expect(hostOfFields(stored(hostFields(host, 300_000, 0)))).toMatchObject({
      id: 'h',
      type: 1,
      ip: '127.0.0.1',
      downloadPort: 4001,
      disableShared: true,
      network: { idc: 'dc', location: 'eu|de', maxTxBandwidth: 5n },
      disk: { free: 7n },
    });
  });
});

describe('the set of finished pieces', () => {
  it.each([
    ['nothing', [], '0000000000000000'],
    ['0, 2 and 64', [0, 2, 64], '000000000000004100000000000000050000000000000001'],
    ['63', [63], '00000000000000408000000000000000'],
  ])('%s is written as Go writes it', (_what, numbers, hex) => {
    expect(encodePieces(pieces(...numbers)).toString('hex')).toBe(hex);
    expect([...decodePieces(Buffer.from(hex, 'hex'))]).toEqual(numbers);
  });

  it(`any set comes back (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(5000)), (numbers) => {
        expect([...decodePieces(encodePieces(pieces(...numbers)))]).toEqual([...numbers].sort((a, b) => a - b));
      }),
      { seed: SEED },
    );
  });

  it(`any bytes are some set, of bounded size (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodePieces(Buffer.from(bytes)).size).toBeLessThanOrEqual(bytes.length * 8);
      }),
      { seed: SEED },
    );
  });
});
