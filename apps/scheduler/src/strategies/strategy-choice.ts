import { z } from 'zod';

/** Names that `algorithm` and `split` may use; `plugin` stands for the module of `scheduler.plugin.path`. */
export const STRATEGY_NAMES = ['default', 'random', 'adaptive', 'plugin'] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** Parts of the tasks, by strategy; what is left of 100 goes to `algorithm`. */
export const splitSchema = z
  .array(z.object({ name: z.enum(STRATEGY_NAMES), percent: z.coerce.number().min(0).max(100) }))
  .refine((parts) => parts.reduce((sum, { percent }) => sum + percent, 0) <= 100, {
    error: 'the percentages must not add up to more than 100',
  })
  .refine((parts) => new Set(parts.map(({ name }) => name)).size === parts.length, {
    error: 'a strategy may be named once only',
  });

/** Which strategies decide, and for how many tasks. */
export interface StrategyChoice {
  readonly algorithm: StrategyName;
  readonly split: z.infer<typeof splitSchema>;
}

/**
 * What a cluster may say in place of the scheduler's own configuration. The path of a plugin is not among it: nobody but
 * who runs the scheduler decides which code it loads.
 */
export const strategyOverrideSchema = z.object({
  algorithm: z.enum(STRATEGY_NAMES).optional(),
  split: splitSchema.optional(),
});
export type StrategyOverride = z.infer<typeof strategyOverrideSchema>;

/** A cluster that names an algorithm and no split wants that algorithm for all its tasks. */
export function chosen(own: StrategyChoice, override: StrategyOverride | undefined): StrategyChoice {
  if (override === undefined) return own;
  const algorithm = override.algorithm ?? own.algorithm;
  return { algorithm, split: override.split ?? (override.algorithm === undefined ? own.split : []) };
}
