import type { RuleTable } from './rule-table.js';

/** Rules of the package errordetails.v2. */
export const errordetailsRules: RuleTable = {
  'errordetails.v2.Backend': {
    fields: {
      status_code: { gte: 100, lt: 599, ignoreEmpty: true },
    },
  },
};
