import { duration, host, port } from '@dragonfly/config';
import { z } from 'zod';

/** Longest path of a unix socket the kernel takes, without the closing zero byte. */
const MAX_SOCKET_PATH_BYTES = 107;

/** Without reading and writing for its owner the daemon could not be reached at all. */
const SOCKET_MODE = /^0{0,2}[67][0-7]{2}$/;
const SOCKET_MODE_RULE = 'must be octal digits such as 0660, with 6 or 7 for the owner';

/** Smallest duration for things that repeat: a typing mistake must not make a busy loop. */
const MIN_INTERVAL_MS = 100;

/** A duration that repeats something. */
export function interval() {
  return duration().refine((ms) => ms >= MIN_INTERVAL_MS, 'must be at least 100ms');
}

export function positiveInteger(minimum = 1) {
  return z.coerce.number().int('must be a whole number').min(minimum, `must be at least ${minimum}`);
}

export function percent() {
  return z.coerce.number().int('must be a whole number').min(1, 'must be 1..99').max(99, 'must be 1..99');
}

export function socketPath() {
  return z
    .string()
    .min(1, 'must not be empty')
    .refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES, 'must have at most 107 bytes');
}

/**
 * Permission bits of a unix socket, in octal digits: `0660`, in quotes or not. YAML and variables make the number 660 of bare
 * digits; a number is read by its digits, which is clear, since the first of them is the owner's and can only be 6 or 7.
 */
export function socketMode() {
  return z
    .union([z.string(), z.number()], { error: SOCKET_MODE_RULE })
    .transform(String)
    .refine((digits) => SOCKET_MODE.test(digits), SOCKET_MODE_RULE)
    .transform((digits) => Number.parseInt(digits, 8));
}

/** Files of one side of a mutually authenticated TLS link: all three or none. */
export const tlsFiles = {
  caCert: z.string().min(1).nullish(),
  cert: z.string().min(1).nullish(),
  key: z.string().min(1).nullish(),
};

/** Holds for a section that satisfies {@link TLS_RULE}. */
export function hasAllOrNoTlsFiles(value: { caCert?: unknown; cert?: unknown; key?: unknown }): boolean {
  const given = [value.caCert, value.cert, value.key].filter((file) => file !== undefined && file !== null).length;
  return given === 0 || given === 3;
}

export const TLS_RULE = 'caCert, cert and key must be given together';

/** `ip` and `port` of a listener. */
export function listener(defaults: { ip?: string; port: number }) {
  return {
    ip: host()
      .nullish()
      .default(defaults.ip ?? null),
    port: port().default(defaults.port),
  };
}

/** Address of a manager or scheduler: `host:port`, `[ipv6]:port`, with or without `http://` or `https://`. */
export function serviceAddress() {
  return z
    .string()
    .transform((text) => text.trim())
    .refine((text) => splitAddress(text) !== undefined, 'must be host:port, with or without http://');
}

/**
 * Takes a service address apart.
 * @returns host without brackets and port, or undefined when it is no address
 */
export function splitAddress(text: string): { host: string; port: number; isSecure: boolean } | undefined {
  const match = /^(?:(https?|grpc):\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})\/?$/.exec(text);
  if (match === null) return undefined;
  const number = Number(match[4]);
  const name = match[2] ?? match[3];
  if (name === undefined || number < 1 || number > 65_535) return undefined;
  return { host: name, port: number, isSecure: match[1] === 'https' };
}
