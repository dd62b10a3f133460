/** What `serialize` needs of a generated message type. */
interface EncodableType<T> {
  encode(message: T): { finish(): Uint8Array };
  fromPartial(object: T): T;
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
export function serialize<T>(type: EncodableType<T>, message: T): Buffer {
  const bytes = type.encode(type.fromPartial(message)).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
