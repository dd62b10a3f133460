import fc from 'fast-check';
import type { HashRing } from './ring.js';
import { sipHash24 } from './siphash.js';
import { keyPosition, memberPosition, SiphashRing } from './siphash-ring.js';
import { prefixPosition, socketAddressBytes, SocketAddressRing } from './socket-address-ring.js';
import { StathatRing } from './stathat-ring.js';

/** Task ids of the vectors, and their owners on the rings of the real clients and the real scheduler. */
const TASK_VECTORS = [
  {
    taskId: '06408fbf247ddaca478f8cb9565fe5591c28efd0994b8fea80a6a87d3203c5ca',
    prefixPosition: 0xd6b27f30679d0b91n,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-2',
    replica: 44,
    seed: '10.0.0.1:4000',
  },
  {
    taskId: '3c3f230ef9f191dd2821510346a7bc138e4894bee9aee184ba250a3040701d2a',
    prefixPosition: 0x0ab2cf5a340b992bn,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-1',
    replica: 51,
    seed: '10.0.0.2:4000',
  },
  {
    taskId: 'c9f9261b7305c24371244f9f149f5d4589ed601348fdf22d7f6f4b10658fdba2',
    prefixPosition: 0xda5bc50bfa003546n,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-0',
    replica: 238,
    seed: '10.0.0.2:4000',
  },
  {
    taskId: '9f7c9aafbc6f30f8f41a96ca77eeae80c5b60964b3034b0ee43ccf7b2f9e52b8',
    prefixPosition: 0x3c2104d782d4da03n,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-1',
    replica: 143,
  },
  {
    taskId: '457b4328cde278e422c9e243f7bfd1e97f511fec43a80f535cf6b0ef6b086776',
    prefixPosition: 0xa96e1294e304728dn,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-2',
    replica: 41,
  },
  {
    taskId: 'b171331534b80e0bf91da38ebbfcdbf4d177898f4b9beac44f14733e3f004d4e',
    prefixPosition: 0x3a750f9c5d56215cn,
    oldScheduler: '10.0.0.2:8002',
    scheduler: 'scheduler-0',
    replica: 307,
  },
  {
    taskId: 'e2d0fe1585a63ec6009c8016ff8dda8b17719a637405a4e23c0ff81339148249',
    prefixPosition: 0x5c00fcf320620345n,
    oldScheduler: '10.0.0.1:8002',
    scheduler: 'scheduler-2',
    replica: 347,
  },
];
const SCHEDULERS = ['scheduler-0', 'scheduler-1', 'scheduler-2'];
const SCHEDULER_ADDRESSES = ['10.0.0.1:8002', '10.0.0.2:8002', '10.0.0.3:8002'];
const SEEDS = ['10.0.0.1:4000', '10.0.0.2:4000', '10.0.0.3:4000'];

describe('SiphashRing', () => {
  it.each([
    [0, 'seed-peer-1', 0x1e5a582b8d945969n],
    [1, 'seed-peer-1', 0xb5db98265419376cn],
    [0, 'seed-peer-2', 0xf36f748c486b09efn],
    [511, 'seed-peer-3', 0xf0eda07426c5cac1n],
  ])('puts replica %i of %s where the real client does', (replica, member, position) => {
    expect(memberPosition(replica, member)).toBe(position);
  });

  it.each([
    ['test-task', 0xa78dd821b4023714n],
    ['', 0x20dd4eb33d9590f2n],
  ])('puts key %j where the real client does', (key, position) => {
    expect(keyPosition(key)).toBe(position);
  });

  it.each([
    ['task-a', 'seed-peer-3'],
    ['task-b', 'seed-peer-2'],
    ['task-c', 'seed-peer-2'],
  ])('gives %s to %s with three points a member', (key, member) => {
    expect(new SiphashRing(['seed-peer-1', 'seed-peer-2', 'seed-peer-3'], 3).get(key)).toBe(member);
  });

  it.each(TASK_VECTORS)('gives task $taskId to $scheduler', ({ taskId, scheduler, replica }) => {
    const ring = new SiphashRing(SCHEDULERS);
    expect(ring.get(taskId)).toBe(scheduler);
    // The owner's point is the nearest one of all at or after the key.
    const distance = (position: bigint) => BigInt.asUintN(64, position - keyPosition(taskId));
    const points = SCHEDULERS.flatMap((member) =>
      Array.from({ length: 512 }, (_, index) => ({ member, index, distance: distance(memberPosition(index, member)) })),
    );
    const nearest = points.reduce((best, point) => (point.distance < best.distance ? point : best));
    expect(nearest).toMatchObject({ member: scheduler, index: replica });
  });

  it('orders the members as if each owner had left', () => {
    const ring = new SiphashRing(SCHEDULERS);
    for (let index = 0; index < 20; index += 1) {
      const key = `task-${index}`;
      const expected: string[] = [];
      for (let rest: readonly string[] = SCHEDULERS; rest.length > 0;) {
        const owner = new SiphashRing(rest).get(key) ?? '';
        expected.push(owner);
        rest = rest.filter((member) => member !== owner);
      }
      expect(ring.order(key)).toEqual(expected);
    }
    expect(new SiphashRing([]).order('task')).toEqual([]);
  });

  it('moves at most its share of the tasks to a scheduler that joins, and none between the others (seed 002-58)', () => {
    const before = new SiphashRing(SCHEDULERS);
    const after = new SiphashRing([...SCHEDULERS, 'scheduler-3']);
    const keys = Array.from({ length: 20_000 }, (_, index) => `task-${index}`);
    const moved = keys.filter((key) => before.get(key) !== after.get(key));
    expect(moved.every((key) => after.get(key) === 'scheduler-3')).toBe(true);
    // A quarter is the fair share of the fourth; 512 points keep it within a few hundredths.
    expect(moved.length / keys.length).toBeGreaterThan(0.2);
    expect(moved.length / keys.length).toBeLessThan(0.3);
  });

  it('spreads tasks evenly', () => {
    const ring = new SiphashRing(SCHEDULERS);
    const counts = new Map<string | undefined, number>();
    for (let index = 0; index < 20_000; index++) {
      const owner = ring.get(`task-${index}`);
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    for (const scheduler of SCHEDULERS) expect((counts.get(scheduler) ?? 0) / 20_000).toBeCloseTo(1 / 3, 1);
  });
});

describe('StathatRing', () => {
  it.each([
    ...TASK_VECTORS.flatMap(({ taskId, seed }) => (seed === undefined ? [] : [{ key: taskId, seed }])),
    { key: 'task-1', seed: '10.0.0.2:4000' },
    { key: 'task-2', seed: '10.0.0.1:4000' },
    { key: 'task-3', seed: '10.0.0.1:4000' },
    { key: 'short', seed: '10.0.0.3:4000' },
  ])('gives task $key to seed $seed as the real scheduler does', ({ key, seed }) => {
    expect(new StathatRing(SEEDS).get(key)).toBe(seed);
  });
});

describe('SocketAddressRing', () => {
  it.each([
    ['10.0.0.1:8002', 0x9948a09af7ec8deen],
    ['10.0.0.2:8002', 0x3c5a35daa4177512n],
    ['10.0.0.3:8002', 0x3fb2e2c7ee4f0057n],
  ])('puts %s where old clients do', (address, position) => {
    expect(sipHash24(socketAddressBytes(address))).toBe(position);
  });

  it.each(TASK_VECTORS)('gives task $taskId to $oldScheduler', ({ taskId, oldScheduler, prefixPosition: position }) => {
    expect(prefixPosition(taskId)).toBe(position);
    expect(new SocketAddressRing(SCHEDULER_ADDRESSES).get(taskId)).toBe(oldScheduler);
  });

  it.each([
    ['[::1]:8002', `0100000000000000${'00'.repeat(15)}01421f0000000000000000`],
    ['[2001:db8::7:8]:1', `0100000000000000${'20010db8'}${'00'.repeat(8)}0007000801000000000000000000`],
    ['[::ffff:10.0.0.1]:1', `0100000000000000${'00'.repeat(10)}ffff0a00000101000000000000000000`],
    ['[1:2:3:4:5:6:7:8]:0', `010000000000000000010002000300040005000600070008${'00'.repeat(10)}`],
  ])('writes %s as Rust does', (address, hex) => {
    expect(socketAddressBytes(address).toString('hex')).toBe(hex);
  });

  it.each([
    'scheduler:8002',
    '10.0.0.1',
    '10.0.0.1:65536',
    '10.0.0.256:1',
    '10.0.0:1',
    '1.2.3.4.5:1',
    '[::g]:1',
    '::1:1',
    '',
  ])('refuses %j, which is no socket address', (address) => {
    expect(() => new SocketAddressRing([address])).toThrow(RangeError);
  });
});

describe.each<[string, (members: readonly string[]) => HashRing]>([
  ['SiphashRing', (members) => new SiphashRing(members, 32)],
  ['StathatRing', (members) => new StathatRing(members)],
  ['SocketAddressRing', (members) => new SocketAddressRing(members)],
])('every ring: %s', (_name, ringOf) => {
  const members = fc.uniqueArray(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65535 })).map(([ip, port]) => `${ip}:${port}`),
    { minLength: 1, maxLength: 8 },
  );

  it('owns nothing without members', () => {
    const ring = ringOf([]);
    expect(ring.get('task')).toBeUndefined();
    expect(ring.members).toEqual([]);
  });

  it('counts a member once', () => {
    expect(ringOf(['10.0.0.1:1', '10.0.0.2:1', '10.0.0.1:1']).members).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
  });

  it('gives every key to a member, whatever the order of members', () => {
    fc.assert(
      fc.property(members, fc.string(), (list, key) => {
        const owner = ringOf(list).get(key);
        expect(list).toContain(owner);
        expect(ringOf([...list].reverse()).get(key)).toBe(owner);
      }),
    );
  });

  it('moves a key only to a member that joins, and only away from one that leaves', () => {
    fc.assert(
      fc.property(members, fc.string(), (list, key) => {
        const [first, ...others] = list;
        const all = ringOf(list).get(key);
        const without = ringOf(others).get(key);
        if (all !== first) expect(without).toBe(all);
      }),
    );
  });
});
