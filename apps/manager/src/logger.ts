/** The service's logger as an injectable: the same methods, usable as a token. */
export abstract class Logger {
  abstract error(fields: object, message: string): void;
  abstract warn(fields: object, message: string): void;
  abstract info(fields: object, message: string): void;
  abstract debug(fields: object, message: string): void;
}
