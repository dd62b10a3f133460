import { LOG_LEVELS, type LogLevel } from './flags.js';

/** Writes one message; dfget logs little, and only with `--console`. */
export type Log = (level: LogLevel, message: string) => void;

/**
 * @param threshold undefined: no log at all
 * @param write takes one line without its end
 */
export function createLog(threshold: LogLevel | undefined, write: (line: string) => void): Log {
  if (threshold === undefined) return () => undefined;
  const lowest = LOG_LEVELS.indexOf(threshold);
  return (level, message) => {
    if (LOG_LEVELS.indexOf(level) >= lowest) {
      write(`${new Date().toISOString()} ${level.toUpperCase()} dfget: ${message}`);
    }
  };
}
