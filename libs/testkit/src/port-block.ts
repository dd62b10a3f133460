import { createServer, type Server } from 'node:net';

/** Below the range that Linux gives to outgoing connections (32768 and up). */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
/** A block has one slot to itself; its guard is the slot's first port. */
const SLOT_PORTS = 200;
const SLOTS = (HIGHEST_PORT - LOWEST_PORT) / SLOT_PORTS;

/**
 * Neighbouring TCP ports for programs that are told their ports before they start, and that start again on them.
 *
 * Whoever holds a block listens on its guard until it releases the block or ends. So suites that run at the same time
 * never get the same ports, not even while a program of theirs is down, and there is nothing to clean up after a suite
 * that was killed.
 */
export class PortBlock {
  private constructor(
    /** The block is this port and those that follow. */
    readonly firstPort: number,
    private readonly guard: Server,
  ) {}

  /**
   * @param count at most 199
   * @param startAt where in the range to look first, 0 to below 1; suites that start together do not queue up at one place
   * @throws Error when no block is free
   */
  static async reserve(count: number, startAt = Math.random()): Promise<PortBlock> {
    if (count >= SLOT_PORTS) throw new RangeError(`a block has at most ${SLOT_PORTS - 1} ports, not ${count}`);
    const offset = Math.floor(startAt * SLOTS);
    for (let tried = 0; tried < SLOTS; tried += 1) {
      const slot = (offset + tried) % SLOTS;
      const block = await PortBlock.tryReserve(LOWEST_PORT + slot * SLOT_PORTS, count);
      if (block !== undefined) return block;
    }
    throw new Error(`no ${count} neighbouring ports between ${LOWEST_PORT} and ${HIGHEST_PORT} are free`);
  }

  /** Others may have the ports from now on. */
  async release(): Promise<void> {
    await close(this.guard);
  }

  private static async tryReserve(guardPort: number, count: number): Promise<PortBlock | undefined> {
    const guard = await listen(guardPort);
    if (guard === undefined) return undefined;
    // Programs that know nothing of guards may be there.
    const ports = await Promise.all(Array.from({ length: count }, (_, index) => listen(guardPort + 1 + index)));
    await Promise.all(ports.map(async (server) => server && close(server)));
    if (ports.every((server) => server !== undefined)) return new PortBlock(guardPort + 1, guard);
    await close(guard);
    return undefined;
  }
}

/** On every address, as a container would; undefined when the port is taken on any of them. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  // Nobody is to wait for it at the end of a process.
  server.unref();
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => {
      resolve(server);
    });
  });
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
