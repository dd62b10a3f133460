import type { SeedGateway, SeedTrigger, SeedTriggerRequest } from '@dragonfly/scheduling';
import { createHash } from 'node:crypto';
import { Download } from './download.js';
import type { SimulatedHost } from './simulated-host.js';
import type { Content, World } from './world.js';

/** Seeds that fetch what the scheduler asks them for, each task at the seed that its hash names. */
export class SimulatedSeeds implements SeedGateway {
  readonly #running = new Map<Content, { readonly listeners: SeedTriggerRequest[] }>();

  constructor(
    private readonly seeds: readonly SimulatedHost[],
    private readonly contents: ReadonlyMap<string, Content>,
    private readonly world: () => World,
  ) {}

  trigger(request: SeedTriggerRequest): SeedTrigger | undefined {
    const world = this.world();
    const usable = this.seeds.filter((seed) => seed.isUp && !request.excludedHostIds.has(seed.id));
    const content = this.contents.get(request.task.id);
    const seed =
      usable[createHash('sha256').update(request.task.id).digest().readUInt32BE() % Math.max(1, usable.length)];
    if (seed === undefined || content === undefined) return undefined;
    const trigger: SeedTrigger = { hostId: seed.id, isOpen: true };
    const running = this.#running.get(content);
    if (running !== undefined) {
      running.listeners.push(request);
      return trigger;
    }
    const listeners = [request];
    this.#running.set(content, { listeners });
    const download = new Download(
      world,
      seed,
      content,
      true,
      (outcome) => {
        this.#running.delete(content);
        // As over the network: never from within another call of the scheduler.
        world.queue.after(0, () => {
          for (const listener of listeners) {
            world.inScheduler(() => {
              listener.onEnd(outcome === 'succeeded' ? 'finished' : 'unreachable');
            });
          }
        });
      },
      () => {
        for (const listener of listeners) world.inScheduler(listener.onSignOfLife);
      },
    );
    world.queue.after(world.scenario.latencyMs.scheduler, () => {
      download.start();
    });
    return trigger;
  }
}
