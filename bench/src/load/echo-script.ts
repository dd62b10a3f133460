import { messageFrame } from './http2-connection.ts';
import { joined, type Frames, type Script } from './script.ts';

/** Sizes of the messages of a conversation, so that another server can be asked to carry the same. */
export interface MessageSizes {
  readonly firstBytes: number;
  readonly answerBytes: number;
  readonly restBytes: readonly number[];
}

/**
 * The same conversation with a server of grpc.testing.TestService, which every implementation of gRPC has for its
 * interoperability tests: messages of the same sizes and the same answer, and no work at all behind them.
 */
export class EchoScript implements Script {
  readonly path = '/grpc.testing.TestService/FullDuplexCall';
  private readonly firstFrames: Frames;
  private readonly restFrames: Frames;

  constructor(sizes: MessageSizes) {
    this.firstFrames = joined([messageFrame(request(sizes.firstBytes, sizes.answerBytes))]);
    const last = sizes.restBytes.length - 1;
    this.restFrames = joined(sizes.restBytes.map((bytes, place) => messageFrame(request(bytes), place === last)));
  }

  first(): Frames {
    return copyOf(this.firstFrames);
  }

  rest(): Frames {
    return copyOf(this.restFrames);
  }
}

function copyOf({ bytes, offsets }: Frames): Frames {
  return { bytes: Buffer.from(bytes), offsets };
}

/**
 * A StreamingOutputCallRequest of about that size.
 * @param answerBytes asks for an answer of about that size; without it the server says nothing
 */
function request(bytes: number, answerBytes?: number): Buffer {
  // response_parameters { size }, field 2; payload { body }, field 3.
  const parameters = answerBytes === undefined ? Buffer.alloc(0) : embedded(2, number(1, answerBytes));
  const body = Buffer.alloc(Math.max(0, bytes - parameters.length - 6), 'x');
  return Buffer.concat([parameters, embedded(3, embedded(2, body))]);
}

function embedded(fieldNumber: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of((fieldNumber << 3) | 2), varint(value.length), value]);
}

function number(fieldNumber: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(fieldNumber << 3), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
