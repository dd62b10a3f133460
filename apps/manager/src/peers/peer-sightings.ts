import { Database, PeerEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { JobQueues } from '../jobs/job-parts.js';
import { Logger } from '../logger.js';
import { ACTIVE } from '../topology/topology.js';

export const SYNC_PEERS_TASK = 'sync-peers';
/** Hosts that are remembered; beyond that all are forgotten, and each costs one look into the table again. */
const MAX_REMEMBERED = 100_000;
/** A daemon asks for its schedulers before it announces itself to them. */
const DELAY_MS = 10_000;
/** One sync for all daemons that come within this time, over all managers. */
const WINDOW_MS = 30_000;

/**
 * Daemons that ask the manager for their schedulers. One that the table of peers does not hold makes a sync come soon
 * rather than at the next day's: a new peer is seen within the minute.
 */
@Injectable()
export class PeerSightings {
  private readonly remembered = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly queues: JobQueues,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Costs nothing for a daemon that was seen before; never throws and is not waited for. */
  note(hostName: string, ip: string): void {
    const key = `${hostName} ${ip}`;
    if (hostName === '' || this.remembered.has(key)) {
      return;
    }
    if (this.remembered.size >= MAX_REMEMBERED) {
      this.remembered.clear();
    }
    this.remembered.add(key);
    this.syncUnlessKnown(hostName, ip).catch((error: unknown) => {
      this.remembered.delete(key);
      this.log.debug({ err: error }, 'a new peer could not be noted');
    });
  }

  private async syncUnlessKnown(hostName: string, ip: string): Promise<void> {
    if (await this.database.manager.existsBy(PeerEntity, { hostName, ip, state: ACTIVE, isDel: 0 })) {
      return;
    }
    const window = Math.ceil((this.clock.now().getTime() + DELAY_MS) / WINDOW_MS);
    await this.queues.periodic.enqueue({
      id: `${SYNC_PEERS_TASK}-sighted-${window}`,
      kind: SYNC_PEERS_TASK,
      payload: {},
      delayMs: window * WINDOW_MS - this.clock.now().getTime(),
    });
  }
}
