/** What one field must satisfy. Several rules on a field must all hold. */
export interface FieldRules {
  /** A message, Duration or Timestamp must be present. */
  readonly required?: true;
  /** Numbers, inclusive lower bound. A NaN passes every number rule, as it does in today's servers. */
  readonly gte?: number;
  /** Numbers, exclusive upper bound. */
  readonly lt?: number;
  /** Numbers, inclusive upper bound. */
  readonly lte?: number;
  /** Durations, inclusive bounds in seconds; an absent Duration passes. */
  readonly gteSeconds?: number;
  readonly lteSeconds?: number;
  /** Repeated fields: fewest elements. */
  readonly minItems?: number;
  /** Strings: Unicode code points; bytes: bytes. */
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Bytes: exact count. */
  readonly length?: number;
  /** An absolute URI, i.e. with a scheme. */
  readonly uri?: true;
  /** An IPv4 or IPv6 address in text form, without a zone. */
  readonly ip?: true;
  /** An RFC 1034 host name: labels of letters, digits and inner hyphens; underscores are refused. */
  readonly hostname?: true;
  readonly pattern?: RegExp;
  readonly in?: readonly string[];
  /** The enum number is one that the enum defines. */
  readonly definedOnly?: true;
  /** The other rules are skipped for the zero value: '' or 0 or no elements. */
  readonly ignoreEmpty?: true;
}

/** Rules of one message. Field and oneof names are those of the .proto files. */
export interface MessageRules {
  readonly fields?: Readonly<Record<string, FieldRules>>;
  /** Oneofs of which one member must be set. */
  readonly requiredOneofs?: readonly string[];
}

/** Message rules by full message name, e.g. `common.v2.Host`. A message without an entry has no rules of its own. */
export type RuleTable = Readonly<Record<string, MessageRules>>;

/** `<algorithm>:<hex>`; the lengths are those of the algorithms, crc32 is decimal or hex of any length. */
export const DIGEST_RE =
  /^(md5:[a-fA-F0-9]{32}|sha1:[a-fA-F0-9]{40}|sha256:[a-fA-F0-9]{64}|sha512:[a-fA-F0-9]{128}|blake3:[a-fA-F0-9]{64}|crc32:[a-fA-F0-9]+)$/;

/** 4 MiB: the shortest piece length that may be asked for. */
export const MIN_PIECE_LENGTH_BYTES = 4_194_304;

/** 64 MiB: the longest piece length that may be asked for. */
export const MAX_PIECE_LENGTH_BYTES = 67_108_864;
