import { crc32 as builtIn } from 'node:zlib';
import fc from 'fast-check';
import { crc32, crc32Implementation } from './crc32.js';

describe('crc32', () => {
  it('gives the value of the real client', () => {
    expect(crc32(Buffer.from('piece content'))).toBe(2533597436);
    expect(crc32(Buffer.alloc(0))).toBe(0);
  });

  it('is the same in parts, and the same as the built-in one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(500), (data, cut) => {
        const parts = crc32(data.subarray(cut), crc32(data.subarray(0, cut)));
        expect(parts).toBe(crc32(data));
        expect(parts).toBe(builtIn(data));
      }),
    );
  });

  it('says which implementation runs', () => {
    expect(['@node-rs/crc32', 'node:zlib']).toContain(crc32Implementation);
  });
});
