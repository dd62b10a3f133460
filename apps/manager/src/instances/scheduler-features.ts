/** What a scheduler may be used for; a scheduler that names none has all. */
export const SCHEDULER_FEATURES = ['schedule', 'preheat'] as const;

/** Only schedulers with this feature are given to peers. */
export const FEATURE_SCHEDULE = 'schedule';
