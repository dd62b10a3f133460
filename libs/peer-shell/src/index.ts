/**
 * The daemon as a program: the peer engine with Nest around its gRPC services; what the two apps share.
 * @packageDocumentation
 */
export { Daemon } from './daemon.js';
export { daemonProgram, type DaemonSettings } from './daemon-program.js';
