import { randomInt } from 'node:crypto';

/**
 * Addresses of 127.0.0.0/8 for the programs of one cluster. Each program has an address of its own and listens on the
 * default ports there, as it would on a machine of its own; no port has to be found, and the host that a program
 * advertises is told apart by its address, as schedulers do. Linux answers on the whole range without set-up.
 */
export class LoopbackNetwork {
  private last = 1;

  /** @param prefix the first three numbers of every address; by chance where others may be at work at the same time */
  constructor(private readonly prefix = `127.${randomInt(16, 250)}.${randomInt(1, 250)}`) {}

  next(): string {
    this.last += 1;
    return `${this.prefix}.${this.last}`;
  }
}
