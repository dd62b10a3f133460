/**
 * A scheduling plugin: prefers hosts that serve few children, those of the child's own data centre before others.
 *
 * Not part of any package. Run it with `scheduler.algorithm: plugin` and `scheduler.plugin.path: …/least-children.mjs`,
 * or in the simulator: `pnpm simulate flash-crowd --strategies default,docs/examples/least-children.mjs`.
 */
export default {
  name: 'least-children',
  apiVersion: 1,

  /**
   * Pure and synchronous: one finite number for every candidate, in their order; higher is better.
   * `nowMs` is milliseconds since the epoch.
   */
  score(child, candidates, nowMs) {
    return candidates.map((parent) => {
      const isNear = parent.host.facts.idc !== '' && parent.host.facts.idc === child.host.facts.idc;
      return (isNear ? 1 : 0) - parent.host.concurrentUploadCount / 10;
    });
  },

  /** Optional: told of every piece. The only place where a plugin may learn. */
  observe({ child, parent, isSuccess, lengthBytes, costMs, nowMs }) {},
};
