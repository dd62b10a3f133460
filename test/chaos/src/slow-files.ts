import { Content, type CountingOrigin, type OriginRequest } from '@dragonfly/testkit';

const MIB = 1024 * 1024;
/** Of each response; with two connections a download takes two and a half seconds. */
const BYTES_PER_SECOND = 8 * MIB;
/** Ten pieces, the last one not full. */
const LENGTH_BYTES = 40 * MIB - 5;

export const PIECE_BYTES = 4 * MIB;

/** A file that nobody has, from an origin so slow that there is time to act in the middle of a download. */
export interface SlowFile {
  readonly url: string;
  readonly content: Content;
  /** Body bytes that the origin has sent of it so far. */
  readonly sent: () => number;
  readonly requests: () => readonly OriginRequest[];
}

export class SlowFiles {
  /** @param seed of the contents' bytes: files of different contents */
  constructor(
    private readonly origin: CountingOrigin,
    private seed: number,
  ) {}

  put(name: string): SlowFile {
    const content = new Content(LENGTH_BYTES, (this.seed += 1));
    const path = `/${name}`;
    return {
      url: this.origin.put(path, { content, bytesPerSecond: BYTES_PER_SECOND }),
      content,
      sent: () => this.origin.bodyBytesSent(path),
      requests: () => this.origin.requestsOf(path),
    };
  }
}
