/**
 * Stand-ins for the original's manager and scheduler, for tests.
 * @packageDocumentation
 */
export { type ClusterRow, OriginalManager, type Scopes } from './manager/original-manager.js';
export { ORIGINAL_FIGURES, type OriginalFigures } from './scheduler/figures.js';
export { OriginalScheduler, type OriginalSchedulerOptions } from './scheduler/original-scheduler.js';
