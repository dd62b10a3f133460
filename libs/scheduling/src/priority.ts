/** Download priorities by their wire number; 0 leaves the choice to the application's entry at the manager. */
export type Priority = 0 | 1 | 2 | 3 | 4 | 5 | 6;

/** An application's priorities as the manager keeps them. */
export interface ApplicationPriority {
  readonly name: string;
  readonly value: Priority;
  /** The first pattern that matches the task's URL wins over `value`. */
  readonly urls: readonly { readonly pattern: RegExp; readonly value: Priority }[];
}

/** Who may fetch a task from the source when nobody has it. */
export type SourcePolicy =
  /** A seed is asked to; the requester itself when there is none. */
  | 'seed-first'
  /** The requester itself. */
  | 'requester'
  /** Nobody: the requester is told that no parent was found. */
  | 'nobody'
  /** Nobody: the download is forbidden. */
  | 'forbidden';

/** The wire number as a priority, or `undefined` for a number that the protocol does not define. */
export function asPriority(wireNumber: number): Priority | undefined {
  switch (wireNumber) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return wireNumber;
    default:
      return undefined;
  }
}

/** The priority that counts: the request's own, or for 0 that of its application. */
export function effectivePriority(
  requested: Priority,
  task: { readonly application: string; readonly url: string },
  applications: readonly ApplicationPriority[],
): Priority {
  if (requested !== 0) return requested;
  const application = applications.find((candidate) => candidate.name === task.application);
  if (application === undefined) return 0;
  return application.urls.find(({ pattern }) => pattern.test(task.url))?.value ?? application.value;
}

/** What a priority allows for the first download of a task. */
export function sourcePolicyOf(priority: Priority): SourcePolicy {
  switch (priority) {
    case 1:
      return 'forbidden';
    case 2:
      return 'nobody';
    case 3:
      return 'requester';
    case 0:
    case 4:
    case 5:
    case 6:
      return 'seed-first';
  }
}
