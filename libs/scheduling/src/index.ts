/**
 * The scheduler's decisions without its transport: resources, state machines, scoring, the source lease.
 * @packageDocumentation
 */
export { type CandidateLimits, canBeParent, isBadNode, selectParents } from './candidates.js';
export { type Clock, systemClock, type Timer } from './clock.js';
export { COST_WINDOW_LENGTH, CostWindow } from './cost-window.js';
export { findHostGarbage, findPeerGarbage, findTaskGarbage, type GarbageLimits, type PeerGarbage } from './garbage.js';
export { type EdgeLoad, Host, type HostFacts } from './host.js';
export {
  type LeaseAuthority,
  type LeaseHandle,
  type LeaseHolder,
  type LeaseVerdict,
  type SourceReader,
} from './lease-authority.js';
export { ParentScheduler, type ParentSchedulerOptions } from './parent-scheduler.js';
export { MAX_PIECE_COUNT, PieceSet } from './piece-set.js';
export {
  type ApplicationPriority,
  asPriority,
  effectivePriority,
  type Priority,
  type SourcePolicy,
  sourcePolicyOf,
} from './priority.js';
export { Resources } from './resources.js';
export { noSeeds, type SeedGateway, type SeedTriggerRequest, type SeedTriggerResult } from './seed-gateway.js';
export type { SeedTrigger, SourceLease } from './source-lease.js';
export { type PieceFacts, SourcePieces } from './source-pieces.js';
export {
  PEER_EVENTS,
  PEER_STATES,
  PEER_TRANSITIONS,
  type PeerEvent,
  type PeerState,
  TASK_EVENTS,
  TASK_STATES,
  TASK_TRANSITIONS,
  type TaskEvent,
  type TaskState,
} from './states.js';
export { AdaptiveStrategy, type AdaptiveOptions } from './strategies/adaptive-strategy.js';
export {
  FALLBACK_REASONS,
  type FallbackReason,
  GuardedStrategy,
  type GuardOptions,
} from './strategies/guarded-strategy.js';
export { randomStrategy } from './strategies/random-strategy.js';
export { type StrategyShare, StrategySplit } from './strategies/strategy-split.js';
export {
  defaultStrategy,
  idcScore,
  loadScore,
  locationScore,
  type PieceObservation,
  type ScoredHost,
  type ScoredPeer,
  type Strategy,
  STRATEGY_API_VERSION,
} from './strategy.js';
export {
  DEFAULT_CONCURRENT_PIECE_COUNT,
  MIN_PIECE_LENGTH_BYTES,
  Peer,
  type PeerInit,
  Task,
  type TaskFacts,
  type VolatileTaskKind,
} from './task.js';
export { isLegal, nextState, type TransitionTable } from './transitions.js';
export type { SourceLimits } from './wait-rules.js';
export type { ScheduleAnswer, Waiter } from './waiter.js';
