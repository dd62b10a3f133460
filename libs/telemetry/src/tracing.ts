/**
 * Switches spans on and off; programs call it once. Code that has spans imports `@dragonfly/telemetry/spans`.
 * @packageDocumentation
 */
export { type TracingSection, tracingSettings, type TracingSettings, tracingWarnings } from './tracing/settings.js';
export { startTracing, type TracingOptions } from './tracing/start.js';
