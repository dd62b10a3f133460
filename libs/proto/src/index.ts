/**
 * Generated messages, clients and service definitions of proto/.
 * @packageDocumentation
 */
export * as commonV2 from './gen/common/v2/common.js';
export * as dfdaemonV2 from './gen/dfdaemon/v2/dfdaemon.js';
export * as extCertificates from './gen/dragonfly/ext/v1/certificates.js';
export * as extJobs from './gen/dragonfly/ext/v1/jobs.js';
export * as extNotify from './gen/dragonfly/ext/v1/notify.js';
export * as extObjectStorage from './gen/dragonfly/ext/v1/object_storage.js';
export * as extPush from './gen/dragonfly/ext/v1/push.js';
export * as extRecords from './gen/dragonfly/ext/v1/records.js';
export * as extSource from './gen/dragonfly/ext/v1/source.js';
export * as errordetailsV2 from './gen/errordetails/v2/errordetails.js';
export * as managerV2 from './gen/manager/v2/manager.js';
export * as schedulerV2 from './gen/scheduler/v2/scheduler.js';
export type { DeepPartial } from './gen/common/v2/common.js';
export type { Duration } from './gen/google/protobuf/duration.js';
export { Empty } from './gen/google/protobuf/empty.js';
export { fileDescriptorSet, requestTypes } from './descriptors.js';
export { fastSchedulerService } from './hot/scheduler-service.js';
export { serialize } from './serialize.js';
export { durationToMs, msToDuration } from './time.js';
export { validationRules } from './rules/index.js';
export type { FieldRules, MessageRules, RuleTable } from './rules/rule-table.js';
export { hasRules, validateMessage } from './validate.js';
