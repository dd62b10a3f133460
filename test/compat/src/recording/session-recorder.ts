import { commonServices } from '../services.js';
import { formatEvent, type SessionEvent, type Side, type Headers } from './session.js';

/** Longest line of the comments that show what a message says. */
const MAX_COMMENT_CHARACTERS = 400;

/** Collects what recorders see, in the order in which they see it. */
export class SessionRecorder {
  private readonly lines: string[] = [];
  private readonly paths: string[] = [];

  /** @param texts what is replaced in the bytes of messages, by something of the same length */
  constructor(private readonly texts: ReadonlyMap<string, string>) {
    for (const [from, to] of texts) {
      if (Buffer.byteLength(from) !== Buffer.byteLength(to)) throw new Error(`${from} and ${to} differ in length`);
    }
  }

  open(protocol: 'grpc' | 'vortex', path = ''): number {
    const call = this.paths.push(path);
    this.add({ type: 'open', call, protocol, path });
    return call;
  }

  headers(type: 'headers' | 'trailers', call: number, side: Side, headers: Headers): void {
    this.add({ type, call, side, headers });
  }

  message(call: number, side: Side, bytes: Buffer): void {
    const neutral = this.neutral(bytes);
    this.lines.push(
      `# ${commonServices.describe(this.paths[call - 1] ?? '', side, neutral).slice(0, MAX_COMMENT_CHARACTERS)}`,
    );
    this.add({ type: 'message', call, side, bytes: neutral });
  }

  frame(call: number, side: Side, bytes: Buffer): void {
    this.add({ type: 'frame', call, side, bytes });
  }

  end(type: 'end' | 'cancel', call: number, side: Side): void {
    this.add({ type, call, side });
  }

  content(call: number, side: Side, lengthBytes: number): void {
    this.add({ type: 'content', call, side, lengthBytes });
  }

  text(): string {
    return `${this.lines.join('\n')}\n`;
  }

  private add(event: SessionEvent): void {
    this.lines.push(formatEvent(event));
  }

  private neutral(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (const [from, to] of this.texts) {
      for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at);
    }
    return copy;
  }
}
