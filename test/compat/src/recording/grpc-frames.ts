/** Length of what precedes a gRPC message: compressed u8 | length u32, big endian. */
const PREFIX_BYTES = 5;

/** Cuts the body of a gRPC call into its messages. */
export class GrpcMessages {
  private rest = Buffer.alloc(0);

  /** @returns the messages that are complete now, without their prefixes */
  push(chunk: Buffer): Buffer[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    while (this.rest.length >= PREFIX_BYTES) {
      if (this.rest[0] !== 0) throw new Error('compressed gRPC messages are not understood');
      const end = PREFIX_BYTES + this.rest.readUInt32BE(1);
      if (this.rest.length < end) break;
      messages.push(this.rest.subarray(PREFIX_BYTES, end));
      this.rest = this.rest.subarray(end);
    }
    return messages;
  }
}

/** A message as it stands in the body of a call. */
export function grpcFrame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
