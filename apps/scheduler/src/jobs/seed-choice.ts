import type { Host } from '@dragonfly/scheduling';

/** Which seed a task belongs to. */
export abstract class SeedChoice {
  /** The usable seed that the ring names for the task, those excluded (by host id) aside. */
  abstract ownerOf(taskId: string, excluded: ReadonlySet<string>): Host | undefined;
  /** It could not be reached: not named again until it serves. */
  abstract unreachable(hostId: Host['id']): void;
}
