/**
 * Command line and gRPC servers around the peer engine; what the two apps share.
 * @packageDocumentation
 */
export { helpOf, parseCommandLine, type Command, type ServeCommand } from './command-line.js';
export { Daemon } from './daemon.js';
export { runDaemon, type ProcessView } from './run-daemon.js';
