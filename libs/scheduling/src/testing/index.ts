/**
 * A clock and builders for tests of what is built on this package.
 * @packageDocumentation
 */
export { aHost, aParentScheduler, aPeer, aTask, type PeerTraits, SOME_TIME_MS } from './builders.js';
export { FakeClock } from './fake-clock.js';
