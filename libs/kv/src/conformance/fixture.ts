import type { Kv } from '../kv.js';

/** One adapter under test. */
export interface KvFixture {
  kv: Kv;
  /** A second connection to the same store (for memory: the same object). */
  second: Kv;
  /** Makes so many ms pass for the store; memory advances its clock, Redis waits. */
  readonly passTime: (ms: number) => Promise<void>;
}

export interface KvConformanceCase {
  name: string;
  run(fixture: KvFixture): Promise<void>;
}
