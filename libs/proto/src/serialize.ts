import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** What {@link encodeMessage} needs of a generated message type. */
export interface EncodableType<T> {
  encode(message: T, writer: BinaryWriter): BinaryWriter;
}

/** What `serialize` needs of a generated message type. */
interface SerializableType<T> {
  encode(message: T, writer: BinaryWriter): BinaryWriter;
  fromPartial(object: T): T;
}

/** A writer that has held more than this is not used again: its buffer would stay. */
const MAX_KEPT_BYTES = 64 * 1024;

/** One for all messages, one after another: a new one would begin with a small buffer and grow it for each. */
let idleWriter: BinaryWriter | undefined;

/** Encodes a complete message. */
export function encodeMessage<T>(type: EncodableType<T>, message: T): Uint8Array {
  const writer = idleWriter ?? new BinaryWriter();
  // Taken until it is done: what a failure leaves in it is nobody's.
  idleWriter = undefined;
  const bytes = type.encode(message, writer).finish();
  if (bytes.length <= MAX_KEPT_BYTES) idleWriter = writer;
  return bytes;
}

/**
 * Encodes a message for a gRPC call.
 *
 * The generated service definitions call this in place of ts-proto's own serializer (`scripts/generate.mjs` puts it
 * there). `encode` alone throws on a plain object that lacks a scalar, a list or a map, and writes NaN for a missing
 * double; `fromPartial` fills such fields with their zero values, as proto3 means it. Unlike the serializer it replaces
 * it does not copy the encoded bytes, which pays for most of `fromPartial`.
 *
 * @returns a Buffer, not a bare Uint8Array: grpc-js calls `copy` on it
 */
export function serialize<T>(type: SerializableType<T>, message: T): Buffer {
  const bytes = encodeMessage(type, type.fromPartial(message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
