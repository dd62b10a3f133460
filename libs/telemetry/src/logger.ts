import pino from 'pino';
import { RotatingFile, type RotationLimits } from './rotating-file.js';
import { TurnLines } from './turn-lines.js';

export type Logger = pino.Logger;

/** From the most talkative to the most silent. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** Program name; stands in every line as `service`. */
  readonly service: string;
  /** @default 'info' */
  readonly level?: LogLevel;
  /** File that gets JSON lines; its directory is made. Written at the end of each turn, warnings at once. */
  readonly file?: string | undefined;
  /** Of that file. @default 6 files of 1 GiB, as today's client */
  readonly rotation?: Partial<RotationLimits> | undefined;
  /** Also (or only, without a file) write to standard output. @default true when there is no file */
  readonly console?: boolean;
}

const DEFAULT_ROTATION: RotationLimits = { maxFileBytes: 1024 ** 3, maxFiles: 6 };

/**
 * Makes a service's root logger. Info is a line per task, debug a line per piece; bind ids once with `child`.
 *
 * Standard output gets text for people when it is a terminal and JSON lines otherwise.
 */
export function createLogger(options: LoggerOptions): Logger {
  const level = options.level ?? 'info';
  const streams: pino.StreamEntry[] = [];
  if (options.file !== undefined) {
    streams.push({
      level,
      stream: new TurnLines(new RotatingFile(options.file, { ...DEFAULT_ROTATION, ...options.rotation })),
    });
  }
  if (options.console ?? options.file === undefined) {
    streams.push({
      level,
      stream: process.stdout.isTTY
        ? new TerminalLines(process.stdout)
        : new TurnLines(pino.destination({ dest: 1, sync: true })),
    });
  }
  return pino(
    {
      level,
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause, error: pino.stdSerializers.errWithCause },
    },
    pino.multistream(streams, { dedupe: false }),
  );
}

/** A logger that writes nothing, for tests and tools. */
export function silentLogger(): Logger {
  return pino({ enabled: false });
}

/** Turns JSON log lines into `time LEVEL message key=value …`. */
export class TerminalLines implements pino.DestinationStream {
  constructor(private readonly out: { write(text: string): unknown }) {}

  write(line: string): void {
    this.out.write(formatForTerminal(line));
  }
}

export function formatForTerminal(line: string): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { time, level, msg, service: _service, err, ...rest } = record;
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${showValue(value)}`);
  const stack =
    typeof err === 'object' && err !== null && 'stack' in err
      ? `\n  ${String(err.stack).replaceAll('\n', '\n  ')}`
      : '';
  return `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${showText(msg)}${fields.join('')}${stack}\n`;
}

function showText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function showValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
