export { type CommandLineForm, type CommonFlags, type ServiceFlag } from './command-line.js';
export { packageVersion } from './package-version.js';
export {
  type LoadedSettings,
  type ProcessView,
  runService,
  type ServiceProgram,
  type StartContext,
  type StopSignal,
} from './run-service.js';
