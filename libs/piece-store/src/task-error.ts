import { DfError } from '@dragonfly/errors';
import type { TaskState } from './task-state.js';

/** An error that names its task. */
export function taskError(
  task: Pick<TaskState, 'id' | 'kind'>,
  code: ConstructorParameters<typeof DfError>[0],
  text: string,
): DfError {
  return new DfError(code, `task ${task.id}: ${text}`, { details: { taskId: task.id, kind: task.kind } });
}
