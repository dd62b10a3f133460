import type { RuleTable } from './rule-table.js';

/** Rules of the package manager.v2. */
export const managerRules: RuleTable = {
  'manager.v2.GetSeedPeerRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      seed_peer_cluster_id: { gte: 1 },
      ip: { ip: true, ignoreEmpty: true },
    },
  },
  'manager.v2.ListSeedPeersRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      ip: { ip: true },
      version: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      commit: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
    },
  },
  'manager.v2.UpdateSeedPeerRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      type: { in: ['super'] },
      idc: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      location: { maxLength: 1024, ignoreEmpty: true },
      ip: { ip: true },
      port: { gte: 1024, lt: 65535 },
      download_port: { gte: 1024, lt: 65535 },
      seed_peer_cluster_id: { gte: 1 },
    },
  },
  'manager.v2.DeleteSeedPeerRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      seed_peer_cluster_id: { gte: 1 },
      ip: { ip: true, ignoreEmpty: true },
    },
  },
  'manager.v2.GetSchedulerRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      scheduler_cluster_id: { gte: 1 },
      ip: { ip: true, ignoreEmpty: true },
    },
  },
  'manager.v2.UpdateSchedulerRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      scheduler_cluster_id: { gte: 1 },
      idc: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      location: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      ip: { ip: true },
      port: { gte: 1024, lt: 65535 },
    },
  },
  'manager.v2.ListSchedulersRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      ip: { ip: true },
      idc: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      location: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      version: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
      commit: { minLength: 1, maxLength: 1024, ignoreEmpty: true },
    },
  },
  'manager.v2.URLPriority': {
    fields: {
      regex: { minLength: 1 },
    },
  },
  'manager.v2.Application': {
    fields: {
      id: { gte: 1 },
      name: { minLength: 1, maxLength: 1024 },
      url: { uri: true },
      priority: { required: true },
    },
  },
  'manager.v2.ListApplicationsRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      ip: { ip: true },
    },
  },
  'manager.v2.KeepAliveRequest': {
    fields: {
      source_type: { definedOnly: true },
      hostname: { hostname: true },
      cluster_id: { gte: 1 },
      ip: { ip: true, ignoreEmpty: true },
    },
  },
};
