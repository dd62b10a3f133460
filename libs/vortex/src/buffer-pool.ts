import { FifoWaiters } from './fifo-waiters.js';

/** Bounds of a {@link BufferPool}. */
export interface BufferPoolOptions {
  /** Length of every buffer. */
  readonly bufferBytes: number;
  /** Most buffers that exist at a time: `bufferBytes × maxBuffers` is the memory that the pool can take. */
  readonly maxBuffers: number;
  /**
   * Lent buffers from which on nobody gets one by {@link BufferPool.tryAcquire}: who has one already, and only wants
   * another to be faster, does without. Less than `maxBuffers` it keeps a busy pool small. @default maxBuffers
   */
  readonly comfortableBuffers?: number;
  /** Most callers that may wait for a buffer. @default 4096 */
  readonly maxWaiters?: number;
  /** How long a buffer may lie unused before its memory is given back. @default 10 s */
  readonly idleTimeoutMs?: number;
}

const DEFAULT_MAX_WAITERS = 4096;
const DEFAULT_IDLE_TIMEOUT_MS = 10_000;

/**
 * Equal buffers that are used again and again. They are made when needed, up to the bound, and given back to the
 * system when the pool has been idle for a while.
 *
 * A buffer must not be released while the kernel or a thread may still touch it.
 */
export class BufferPool {
  readonly bufferBytes: number;
  readonly maxBuffers: number;
  private readonly free: Buffer[] = [];
  private readonly lent = new Set<Buffer>();
  private readonly waiters: FifoWaiters<void, Buffer>;
  private readonly idleTimeoutMs: number;
  private readonly comfortableBuffers: number;
  private idleTimer: NodeJS.Timeout | undefined;

  /** @throws RangeError unless both bounds are integers ≥ 1 */
  constructor(options: BufferPoolOptions) {
    for (const name of ['bufferBytes', 'maxBuffers'] as const) {
      if (!Number.isInteger(options[name]) || options[name] < 1) {
        throw new RangeError(`${name} must be an integer of at least 1, not ${options[name]}`);
      }
    }
    this.bufferBytes = options.bufferBytes;
    this.maxBuffers = options.maxBuffers;
    this.comfortableBuffers = options.comfortableBuffers ?? options.maxBuffers;
    this.idleTimeoutMs = options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
    this.waiters = new FifoWaiters(options.maxWaiters ?? DEFAULT_MAX_WAITERS, 'a transfer buffer');
  }

  /** Buffers that exist, lent or free. */
  get allocated(): number {
    return this.free.length + this.lent.size;
  }

  /** Buffers that are lent. */
  get inUse(): number {
    return this.lent.size;
  }

  /** Callers that wait. While it is not 0, holders should do with fewer buffers. */
  get waiting(): number {
    return this.waiters.length;
  }

  /** A buffer if one is free, nobody waits for it and no more are lent than is comfortable, else `undefined`. */
  tryAcquire(): Buffer | undefined {
    return this.lent.size < this.comfortableBuffers ? this.take() : undefined;
  }

  /**
   * A buffer, in the order of asking.
   *
   * @throws DfError `resource-exhausted` when too many wait, `cancelled` when the signal fires
   */
  acquire(signal?: AbortSignal): Promise<Buffer> {
    const buffer = this.take();
    return buffer === undefined ? this.waiters.wait(undefined, signal) : Promise.resolve(buffer);
  }

  /**
   * Takes a lent buffer back.
   *
   * @throws RangeError for a buffer that is not lent: releasing twice would let two pieces share memory
   */
  release(buffer: Buffer): void {
    if (!this.lent.has(buffer)) throw new RangeError('released a buffer that this pool has not lent');
    if (this.waiters.length > 0) {
      this.waiters.grantNext(buffer);
      return;
    }
    this.lent.delete(buffer);
    this.free.push(buffer);
    this.scheduleTrim();
  }

  private take(): Buffer | undefined {
    if (this.waiters.length > 0) return undefined;
    if (this.free.length === 0 && this.allocated >= this.maxBuffers) return undefined;
    // Slow buffers are not cut from Node's shared slab; their content is not cleared, every user writes before reading.
    const buffer = this.free.pop() ?? Buffer.allocUnsafeSlow(this.bufferBytes);
    this.lent.add(buffer);
    return buffer;
  }

  /** One timer for the pool: when nothing was released for a while, half of the free buffers go, then half again. */
  private scheduleTrim(): void {
    if (this.idleTimer !== undefined) {
      this.idleTimer.refresh();
      return;
    }
    this.idleTimer = setTimeout(() => {
      this.idleTimer = undefined;
      this.free.length = Math.floor(this.free.length / 2);
      if (this.free.length > 0) this.scheduleTrim();
    }, this.idleTimeoutMs);
    this.idleTimer.unref();
  }
}
