/**
 * Changes single fields of encoded protobuf messages and nothing else: order, unknown fields and how the rest was written
 * stay as the real program has written them.
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/**
 * @param path numbers of the fields from the outermost message to the one to set; each must be there
 * @param value of the innermost field: text of a string, or a whole number
 * @throws Error when a field of the path is not there
 */
export function withField(message: Buffer, path: readonly number[], value: string | number): Buffer {
  const [number, ...rest] = path;
  let isFound = false;
  const parts = fieldsOf(message).map((field) => {
    if (field.number !== number) return field.bytes;
    isFound = true;
    if (rest.length > 0) return delimited(field.number, withField(field.value, rest, value));
    if (typeof value === 'string') return delimited(field.number, Buffer.from(value));
    return Buffer.concat([varint((field.number << 3) | VARINT), varint(value)]);
  });
  if (!isFound) throw new Error(`the message has no field ${number}`);
  return Buffer.concat(parts);
}

interface WireField {
  readonly number: number;
  /** With key and length. */
  readonly bytes: Buffer;
  /** Without; empty unless it is length-delimited. */
  readonly value: Buffer;
}

function fieldsOf(message: Buffer): WireField[] {
  const fields: WireField[] = [];
  for (let at = 0; at < message.length;) {
    const start = at;
    const [key, afterKey] = readVarint(message, at);
    let value: Buffer = Buffer.alloc(0);
    switch (key & 7) {
      case VARINT:
        [, at] = readVarint(message, afterKey);
        break;
      case 1:
        at = afterKey + 8;
        break;
      case LENGTH_DELIMITED: {
        const [length, from] = readVarint(message, afterKey);
        at = from + length;
        value = message.subarray(from, at);
        break;
      }
      case 5:
        at = afterKey + 4;
        break;
      default:
        throw new Error(`unknown wire type ${key & 7}`);
    }
    if (at > message.length) throw new Error('the message is cut off');
    fields.push({ number: key >>> 3, bytes: message.subarray(start, at), value });
  }
  return fields;
}

function delimited(number: number, value: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | LENGTH_DELIMITED), varint(value.length), value]);
}

/** @returns the number, modulo 2^53, and where it ends */
function readVarint(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) throw new Error('the message is cut off');
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return [value, at + index + 1];
  }
  throw new Error('a number has more than ten bytes');
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}
