import { commonRules } from './common.js';
import { dfdaemonRules } from './dfdaemon.js';
import { errordetailsRules } from './errordetails.js';
import { extRules } from './ext.js';
import { managerRules } from './manager.js';
import type { RuleTable } from './rule-table.js';
import { schedulerRules } from './scheduler.js';

/**
 * The field rules that today's Go manager and scheduler enforce (protoc-gen-validate), and those of our own package.
 * They are data beside the .proto files instead of options inside them, so that the descriptors stay those of the wire.
 */
export const validationRules: RuleTable = {
  ...errordetailsRules,
  ...commonRules,
  ...schedulerRules,
  ...dfdaemonRules,
  ...managerRules,
  ...extRules,
};
