import { capacityOf } from './capacity.js';

describe('capacityOf', () => {
  it('leaves out what is kept back, so that the share in use is that of df', () => {
    // 100 blocks, 20 in use, 50 kept back.
    const { freeBytes, totalBytes } = capacityOf({ bsize: 10, blocks: 100, bfree: 80, bavail: 30 });
    expect({ freeBytes, totalBytes }).toEqual({ freeBytes: 300, totalBytes: 500 });
    expect((totalBytes - freeBytes) / totalBytes).toBe(0.4);
  });

  it('is the whole disk where nothing is kept back', () => {
    expect(capacityOf({ bsize: 1, blocks: 100, bfree: 80, bavail: 80 })).toEqual({ freeBytes: 80, totalBytes: 100 });
  });
});
