import fc from 'fast-check';
import { decodeBody, encodeMessage, FrameError, FrameReader, MAX_FRAME_BYTES } from './frame.js';

function frameOf(body: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof FrameError) return error.reason;
    throw error;
  }
  return 'accepted';
}

describe('light frames', () => {
  it('has the length as big-endian u32 and JSON after it', () => {
    expect(encodeMessage({ type: 'hello' }).toString('hex')).toBe('000000107b2274797065223a2268656c6c6f227d');
  });

  it('reads what was written, however the bytes are cut', () => {
    const message = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map(encodeMessage));
          const reader = new FrameReader();
          const read: unknown[] = [];
          for (let position = 0; position < bytes.length;) {
            const length = cuts.next().value;
            read.push(...reader.push(bytes.subarray(position, position + length)));
            position += length;
          }
          // -0 becomes 0 in JSON; compare as JSON sees them.
          expect(read).toEqual(JSON.parse(JSON.stringify(messages)));
          expect(reader.isMidFrame).toBe(false);
        },
      ),
    );
  });

  it('never throws anything but FrameError for random input, and never reads a frame longer than the bound', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 10 }), (chunks) => {
        const reader = new FrameReader(32);
        for (const chunk of chunks) {
          if (reasonOf(() => reader.push(chunk)) !== 'accepted') break;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws anything but FrameError for a valid frame with flipped bytes', () => {
    const valid = encodeMessage({ type: 'progress', completedLength: 1, note: 'ü' });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const changed = Buffer.from(valid);
        changed[at] = byte;
        reasonOf(() => new FrameReader().push(changed));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['an empty frame', Buffer.alloc(4), 'empty'],
    ['a length above the bound', Buffer.from('00100001', 'hex'), 'too-long'],
    ['the largest length word', Buffer.from('ffffffff', 'hex'), 'too-long'],
    ['bytes that are not UTF-8', frameOf(Buffer.from([0x22, 0xff, 0x22])), 'not-utf8'],
    ['a byte order mark', frameOf(Buffer.from('\ufeff{}')), 'not-json'],
    ['text that is not JSON', frameOf(Buffer.from('{')), 'not-json'],
    ['a JSON array', frameOf(Buffer.from('[]')), 'not-an-object'],
    ['null', frameOf(Buffer.from('null')), 'not-an-object'],
  ])('refuses %s', (_what, bytes, reason) => {
    expect(reasonOf(() => new FrameReader().push(bytes))).toBe(reason);
  });

  it('refuses a too long length word before it allocates or waits for the body', () => {
    const reader = new FrameReader(16);
    expect(reasonOf(() => reader.push(Buffer.from('00000011', 'hex')))).toBe('too-long');
  });

  it('refuses all input after a bad frame', () => {
    const reader = new FrameReader();
    expect(reasonOf(() => reader.push(Buffer.alloc(4)))).toBe('empty');
    expect(reasonOf(() => reader.push(encodeMessage({})))).toBe('empty');
  });

  it('accepts a frame of exactly the longest length and refuses to encode a longer one', () => {
    const overhead = JSON.stringify({ a: '' }).length;
    const longest = encodeMessage({ a: 'x'.repeat(MAX_FRAME_BYTES - overhead) });
    expect(new FrameReader().push(longest)).toHaveLength(1);
    expect(reasonOf(() => encodeMessage({ a: 'x'.repeat(MAX_FRAME_BYTES - overhead + 1) }))).toBe('too-long');
  });

  it('counts bytes, not characters', () => {
    const message = { a: 'ü€😀' };
    const frame = encodeMessage(message);
    expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
    expect(decodeBody(frame.subarray(4))).toEqual(message);
  });

  it('tells whether the stream ends inside a frame', () => {
    const reader = new FrameReader();
    const frame = encodeMessage({ a: 1 });
    reader.push(frame.subarray(0, 2));
    expect(reader.isMidFrame).toBe(true);
    reader.push(frame.subarray(2));
    expect(reader.isMidFrame).toBe(false);
  });
});
