import { create, type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { descriptors } from '../src/descriptors.js';
import { commonV2, dfdaemonV2, errordetailsV2, managerV2, schedulerV2, serialize } from '../src/index.js';

/** A generated message type, without its static type. */
interface MessageType {
  encode(message: unknown, writer?: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): unknown;
  fromPartial(object: object): unknown;
}

const modules: Record<string, object> = {
  'common.v2': commonV2,
  'dfdaemon.v2': dfdaemonV2,
  'errordetails.v2': errordetailsV2,
  'manager.v2': managerV2,
  'scheduler.v2': schedulerV2,
};

const messages = [...descriptors()].filter(
  (type): type is DescMessage => type.kind === 'message' && type.file.proto.package in modules,
);

function generatedType(message: DescMessage): MessageType {
  const module = modules[message.file.proto.package] as Record<string, MessageType>;
  const type = module[message.name];
  if (type === undefined) throw new Error(`${message.typeName} is not generated`);
  return type;
}

const UINT64_MAX = 2n ** 64n - 1n;

/** A value for a field in the form of protobuf-es; members are filled three levels deep. */
function valueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const scalar = (type: ScalarType): fc.Arbitrary<unknown> => {
    switch (type) {
      case ScalarType.STRING:
        return fc.string({ unit: 'grapheme', maxLength: 8 });
      case ScalarType.BYTES:
        return fc.uint8Array({ maxLength: 8 });
      case ScalarType.BOOL:
        return fc.boolean();
      case ScalarType.DOUBLE:
        // ts-proto leaves -0 out, like the zero it equals.
        return fc.double({ noNaN: true }).map((value) => (value === 0 ? 0 : value));
      case ScalarType.INT32:
        return fc.integer();
      case ScalarType.UINT32:
        return fc.nat({ max: 2 ** 32 - 1 });
      case ScalarType.INT64:
        return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
      case ScalarType.UINT64:
        return fc.oneof(fc.constant(UINT64_MAX), fc.bigInt({ min: 0n, max: UINT64_MAX }));
      default:
        throw new Error(`no ${ScalarType[type]} on this wire`);
    }
  };
  const number = (values: readonly { number: number }[]): fc.Arbitrary<number> =>
    fc.constantFrom(...values.map((value) => value.number));
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar);
    case 'enum':
      return number(field.enum.values);
    case 'message':
      return aMessage(field.message, depth - 1);
    case 'map':
      return fc.dictionary(
        fc.string({ minLength: 1, maxLength: 5 }).filter((key) => key !== '__proto__'),
        fc.string(),
        {
          maxKeys: 3,
          noNullPrototype: true,
        },
      );
    case 'list': {
      const item =
        field.listKind === 'scalar'
          ? scalar(field.scalar)
          : field.listKind === 'enum'
            ? number(field.enum.values)
            : aMessage(field.message, depth - 1);
      return fc.array(item, { maxLength: 2 });
    }
  }
}

function aMessage(message: DescMessage, depth: number): fc.Arbitrary<unknown> {
  if (message.typeName === 'google.protobuf.Timestamp') {
    // Dates hold milliseconds, and ts-proto makes Dates of timestamps.
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') })
      .map((date) =>
        create(message, { seconds: BigInt(Math.floor(date.getTime() / 1000)), nanos: (date.getTime() % 1000) * 1e6 }),
      );
  }
  const isShallow = (field: DescField): boolean => depth > 0 || field.message === undefined;
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of message.members) {
    if (member.kind === 'oneof') {
      const cases = member.fields
        .filter(isShallow)
        .map((field) => valueOf(field, depth).map((value) => ({ case: field.localName, value })));
      if (cases.length > 0) fields[member.localName] = fc.option(fc.oneof(...cases), { nil: undefined });
    } else if (isShallow(member)) {
      fields[member.localName] = fc.option(valueOf(member, depth), { nil: undefined });
    }
  }
  return fc
    .record(fields)
    .map((init) =>
      create(message, Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined))),
    );
}

describe('the generated codec agrees with protobuf-es', () => {
  it.each(messages.map((message) => [message.typeName, message] as const))('%s', (_name, message) => {
    const type = generatedType(message);
    fc.assert(
      fc.property(aMessage(message, 2), (original) => {
        const bytes = toBinary(message, original as never);
        const object = type.decode(bytes);
        expect(fromBinary(message, type.encode(object).finish())).toEqual(fromBinary(message, bytes));
        expect(type.decode(serialize(type, object))).toEqual(object);
      }),
      { numRuns: 15 },
    );
  });

  it('and covers every message', () => {
    expect(messages).toHaveLength(190);
  });
});

describe('numbers', () => {
  it('keeps the largest uint64, which stands for an unknown length', () => {
    const bytes = commonV2.Task.encode(commonV2.Task.fromPartial({ contentLength: UINT64_MAX })).finish();
    expect(Buffer.from(bytes).toString('hex')).toBe('48ffffffffffffffffff01');
    expect(commonV2.Task.decode(bytes).contentLength).toBe(UINT64_MAX);
  });

  it('keeps a negative int64', () => {
    const bytes = serialize(commonV2.CgroupMemory, commonV2.CgroupMemory.fromPartial({ limit: -1n }));
    expect(commonV2.CgroupMemory.decode(bytes).limit).toBe(-1n);
  });

  it('keeps an optional zero apart from an absent value', () => {
    const zero = serialize(schedulerV2.ListHostsRequest, { type: 0 });
    expect(zero.toString('hex')).toBe('0800');
    expect(schedulerV2.ListHostsRequest.decode(zero).type).toBe(0);
    expect(schedulerV2.ListHostsRequest.decode(Buffer.alloc(0)).type).toBeUndefined();
  });

  it('keeps an enum number it does not know', () => {
    const bytes = new BinaryWriter()
      .uint32(11 << 3)
      .int32(77)
      .finish();
    expect(commonV2.Task.decode(bytes).sizeScope).toBe(77);
  });
});

describe('reading', () => {
  it('skips unknown fields of every wire type', () => {
    const unknown = new BinaryWriter()
      .uint32((900 << 3) | 0)
      .uint64(UINT64_MAX)
      .uint32((901 << 3) | 1)
      .fixed64(1n)
      .uint32((902 << 3) | 2)
      .bytes(new Uint8Array(300))
      .uint32((903 << 3) | 5)
      .fixed32(1)
      .finish();
    const known = serialize(schedulerV2.StatTaskRequest, { hostId: 'h', taskId: 't' });
    const decodedRequest = schedulerV2.StatTaskRequest.decode(Buffer.concat([unknown, known, unknown]));
    expect(decodedRequest).toEqual({ hostId: 'h', taskId: 't' });
  });

  it('takes the last of several members of a oneof', () => {
    const both = Buffer.from('0a00' + '1a00', 'hex');
    expect(schedulerV2.AnnouncePeerResponse.decode(both).response).toEqual({
      $case: 'needBackToSourceResponse',
      value: { description: undefined },
    });
  });

  it('of random bytes fails or gives a message, but does not hang or crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          schedulerV2.AnnouncePeerRequest.decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('serialize', () => {
  it('takes a plain object with most fields left out', () => {
    const partial = {
      response: { $case: 'normalTaskResponse', value: { candidateParents: [{ id: 'p', host: { cpu: {} } }] } },
    };
    const bytes = serialize(schedulerV2.AnnouncePeerResponse, partial as never);
    // Peer.host.cpu is there and empty: no NaN for the percentages that were left out.
    expect(bytes.toString('hex')).toBe('1209' + '0a07' + '0a0170' + '4202' + '6200');
  });

  it('is what the service definitions use, in both directions', () => {
    const { statTask } = schedulerV2.SchedulerService;
    expect(statTask.requestSerialize({ taskId: 't' } as never).toString('hex')).toBe('120174');
    expect(Buffer.isBuffer(statTask.responseSerialize({} as never))).toBe(true);
  });
});
