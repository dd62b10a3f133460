import { type ApplicationPriority, asPriority, type CandidateLimits } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { z } from 'zod';
import { type SourceOverride, sourceOverrideSchema } from '../source/source-choice.js';
import { compilePattern } from './url-pattern.js';
import { type StrategyOverride, strategyOverrideSchema } from '../strategies/strategy-choice.js';

/** Limits as a cluster may set them: the original's bounds; what is outside counts as not set. */
const CANDIDATE_PARENTS = { default: 3, max: 20 };
const FILTER_PARENTS = { default: 15, min: 10, max: 1000 };
const PEER_LOAD = { default: 200, max: 2000 };
const SEED_LOAD = { default: 2000, max: 5000 };

/** One application's priorities. */
export const applicationSchema = z.object({
  name: z.string().min(1),
  priority: z
    .object({
      value: z.coerce.number().int().min(0).max(6).default(0),
      urls: z
        .array(z.object({ regex: z.string().min(1), value: z.coerce.number().int().min(0).max(6) }))
        .nullish()
        .transform((urls) => urls ?? []),
    })
    .prefault({}),
});

/**
 * What the manager, or a local file in its place, decides about scheduling. The keys are those of the local
 * dynconfig.yaml; the copy that is kept for a start without the manager has the same form.
 */
export const dynamicConfigSchema = z.object({
  applications: z
    .array(applicationSchema)
    .nullish()
    .transform((applications) => applications ?? []),
  seedPeerClusterConfig: z.object({ loadLimit: z.coerce.number().int().default(0) }).prefault({}),
  schedulerClusterConfig: z
    .object({
      candidateParentLimit: z.coerce.number().int().default(0),
      filterParentLimit: z.coerce.number().int().default(0),
      /** In place of the strategies of scheduler.yaml; what cannot be read is as good as not said. */
      schedulingStrategy: strategyOverrideSchema.optional().catch(undefined),
      /** In place of `scheduler.sourceLease` of scheduler.yaml; read by {@link DynamicSettings}, which says what is wrong. */
      sourceLease: z.unknown().optional(),
    })
    .prefault({}),
  schedulerClusterClientConfig: z.object({ loadLimit: z.coerce.number().int().default(0) }).prefault({}),
});
export type DynamicConfig = z.infer<typeof dynamicConfigSchema>;

/** What holds until somebody says otherwise. */
export const DEFAULT_DYNAMIC_CONFIG: DynamicConfig = {
  applications: [],
  seedPeerClusterConfig: { loadLimit: SEED_LOAD.default },
  schedulerClusterConfig: {
    candidateParentLimit: CANDIDATE_PARENTS.default,
    filterParentLimit: FILTER_PARENTS.default,
  },
  schedulerClusterClientConfig: { loadLimit: PEER_LOAD.default },
};

/** The settings in force, in the form that scheduling reads. */
export class DynamicSettings {
  #limits: CandidateLimits = limitsOf(DEFAULT_DYNAMIC_CONFIG);
  #applications: readonly ApplicationPriority[] = [];
  #current = DEFAULT_DYNAMIC_CONFIG;
  #sourceOverride: SourceOverride | undefined;

  constructor(private readonly log: Logger) {}

  readonly limits = (): CandidateLimits => this.#limits;

  readonly applications = (): readonly ApplicationPriority[] => this.#applications;

  readonly strategyOverride = (): StrategyOverride | undefined =>
    this.#current.schedulerClusterConfig.schedulingStrategy;

  readonly sourceOverride = (): SourceOverride | undefined => this.#sourceOverride;

  get current(): DynamicConfig {
    return this.#current;
  }

  apply(config: DynamicConfig): void {
    const { sourceLease } = config.schedulerClusterConfig;
    const isNews = JSON.stringify(sourceLease) !== JSON.stringify(this.#current.schedulerClusterConfig.sourceLease);
    this.#current = config;
    this.#sourceOverride = this.#readSourceOverride(sourceLease, isNews);
    this.#limits = limitsOf(config);
    this.#applications = config.applications.map(({ name, priority }) => ({
      name,
      value: asPriority(priority.value) ?? 0,
      urls: priority.urls.flatMap(({ regex, value }) => {
        const pattern = this.#compile(name, regex);
        return pattern === undefined ? [] : [{ pattern, value: asPriority(value) ?? 0 }];
      }),
    }));
  }

  /** Keys that are wrong are told once and count as not said; the others hold. */
  #readSourceOverride(value: unknown, isNews: boolean): SourceOverride | undefined {
    if (value === undefined || value === null) return undefined;
    const { success, data, error } = sourceOverrideSchema.safeParse(value);
    if (success) return data;
    const wrong = new Set(error.issues.map(({ path }) => String(path[0] ?? '')));
    if (isNews) {
      const problems = error.issues.map(({ path, message }) => `${['sourceLease', ...path].join('.')}: ${message}`);
      this.log.warn({ problems }, 'settings of the cluster that cannot be used; those of scheduler.yaml hold');
    }
    if (wrong.has('') || typeof value !== 'object') return undefined;
    const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !wrong.has(key)));
    return sourceOverrideSchema.safeParse(rest).data;
  }

  #compile(application: string, regex: string): RegExp | undefined {
    try {
      return compilePattern(regex);
    } catch (error) {
      this.log.warn({ err: error, application, regex }, 'URL pattern of an application is no regular expression');
      return undefined;
    }
  }
}

function limitsOf(config: DynamicConfig): CandidateLimits {
  const { candidateParentLimit, filterParentLimit } = config.schedulerClusterConfig;
  return {
    candidateParentLimit: within(candidateParentLimit, 1, CANDIDATE_PARENTS.max) ?? CANDIDATE_PARENTS.default,
    filterParentLimit: within(filterParentLimit, FILTER_PARENTS.min, FILTER_PARENTS.max) ?? FILTER_PARENTS.default,
    peerUploadLimit: within(config.schedulerClusterClientConfig.loadLimit, 1, PEER_LOAD.max) ?? PEER_LOAD.default,
    seedUploadLimit: within(config.seedPeerClusterConfig.loadLimit, 1, SEED_LOAD.max) ?? SEED_LOAD.default,
  };
}

function within(value: number, min: number, max: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}
