import { z } from 'zod';

/**
 * A named request of the REST API: its zod schema and the name that stands in error texts and in the API description.
 *
 * The rules are those of the original: `null` and an absent field are the same, an empty value of a field that is not
 * required skips its range, and a field that is required must not be empty. Violations carry the original's rule names
 * (`required`, `gte`, `oneof` …), so that {@link violationText} can say the same as it does.
 */
export interface RequestType<S extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly schema: S;
  /** Brings a body of an older form into that of the schema, before it is checked. */
  readonly translate?: (body: unknown) => unknown;
}

/** What a checked request looks like. Controllers use it: decorators must not see the request type as a class. */
export type RequestOf<T extends RequestType> = z.output<T['schema']>;

export function requestType<S extends z.ZodType>(
  name: string,
  schema: S,
  translate?: (body: unknown) => unknown,
): RequestType<S> {
  return { name, schema, translate };
}

interface Range {
  min?: number;
  max?: number;
}

interface TextRules extends Range {
  oneOf?: readonly string[];
  /** `url` may have any scheme, `http_url` is http or https. */
  format?: 'email' | 'url' | 'http_url';
  /** What the text must match, and the name of the rule in error texts. */
  pattern?: { regex: RegExp; tag: string };
  /** Any other rule, and its name in error texts. */
  check?: { isGood: (value: string) => boolean; tag: string };
}

/** Mark of required fields in the JSON schema; see `withRequired`. */
const REQUIRED_MARK = 'x-required';
const REQUIRED = { [REQUIRED_MARK]: true };

/** Turns the marks of required fields into lists of required properties, at every level. */
export function withRequired(schema: unknown): unknown {
  if (Array.isArray(schema)) {
    return schema.map(withRequired);
  }
  if (typeof schema !== 'object' || schema === null) {
    return schema;
  }
  const content = Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => key !== REQUIRED_MARK && !(key === 'nullable' && REQUIRED_MARK in schema))
      .map(([key, value]) => [key, withRequired(value)]),
  );
  const properties = 'properties' in schema ? Object.entries(schema.properties as Record<string, object>) : [];
  const required = properties.filter(([, property]) => REQUIRED_MARK in property).map(([name]) => name);
  return required.length > 0 ? { ...content, required } : content;
}

type CheckContext = z.RefinementCtx;

function violate(context: CheckContext, tag: string): void {
  context.addIssue({ code: 'custom', message: tag, params: { tag } });
}

function checkText(value: string, rules: TextRules, context: CheckContext): void {
  const length = [...value].length;
  if (rules.min !== undefined && length < rules.min) {
    violate(context, 'min');
  } else if (rules.max !== undefined && length > rules.max) {
    violate(context, 'max');
  } else if (rules.oneOf && !rules.oneOf.includes(value)) {
    violate(context, 'oneof');
  } else if (rules.format === 'email' && !z.email().safeParse(value).success) {
    violate(context, 'email');
  } else if (rules.format === 'url' && !URL.canParse(value)) {
    violate(context, 'url');
  } else if (rules.format === 'http_url' && !/^https?:$/.test(URL.parse(value)?.protocol ?? '')) {
    violate(context, 'http_url');
  } else if (rules.pattern && !rules.pattern.regex.test(value)) {
    violate(context, rules.pattern.tag);
  } else if (rules.check && !rules.check.isGood(value)) {
    violate(context, rules.check.tag);
  }
}

function textMeta(rules: TextRules): Record<string, unknown> {
  return {
    ...(rules.min === undefined ? {} : { minLength: rules.min }),
    ...(rules.max === undefined ? {} : { maxLength: rules.max }),
    ...(rules.oneOf ? { enum: [...rules.oneOf] } : {}),
    ...(rules.format ? { format: rules.format === 'email' ? 'email' : 'uri' } : {}),
    ...(rules.pattern ? { pattern: rules.pattern.regex.source } : {}),
  };
}

/** A text that must be there and not be empty. */
export function requiredText(rules: TextRules = {}) {
  return z
    .string()
    .nullish()
    .transform((value, context) => {
      if (!value) {
        violate(context, 'required');
        return z.NEVER;
      }
      checkText(value, rules, context);
      return value;
    })
    .meta({ ...textMeta({ ...rules, min: Math.max(1, rules.min ?? 0) }), ...REQUIRED });
}

/** A text that may be left out. */
export function optionalText(rules: TextRules = {}) {
  return z
    .string()
    .nullish()
    .transform((value, context) => {
      if (value) {
        checkText(value, rules, context);
      }
      return value ?? undefined;
    })
    .meta(textMeta(rules));
}

function checkNumber(value: number, range: Range, context: CheckContext): void {
  if (range.min !== undefined && value < range.min) {
    violate(context, 'gte');
  } else if (range.max !== undefined && value > range.max) {
    violate(context, 'lte');
  }
}

function numberMeta(range: Range): Record<string, unknown> {
  return {
    ...(range.min === undefined ? {} : { minimum: range.min }),
    ...(range.max === undefined ? {} : { maximum: range.max }),
  };
}

/** A whole number that must be there and not be 0. */
export function requiredInteger(range: Range = {}) {
  return z
    .int()
    .nullish()
    .transform((value, context) => {
      if (!value) {
        violate(context, 'required');
        return z.NEVER;
      }
      checkNumber(value, range, context);
      return value;
    })
    .meta({ ...numberMeta({ ...range, min: Math.max(1, range.min ?? 1) }), ...REQUIRED });
}

/** A whole number that must be there; it may be 0. */
export function presentInteger(range: Range = {}) {
  return z
    .int()
    .nullish()
    .transform((value, context) => {
      if (value === null || value === undefined) {
        violate(context, 'required');
        return z.NEVER;
      }
      checkNumber(value, range, context);
      return value;
    })
    .meta({ ...numberMeta(range), ...REQUIRED });
}

/** A whole number that may be left out; 0 counts as left out for the range. */
export function optionalInteger(range: Range = {}) {
  return z
    .int()
    .nullish()
    .transform((value, context) => {
      if (value) {
        checkNumber(value, range, context);
      }
      return value ?? undefined;
    })
    .meta(numberMeta(range));
}

interface TimeRange {
  min?: Date;
  max?: Date;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)$/;

function readTime(value: string, range: TimeRange, context: CheckContext): Date {
  const time = RFC_3339.test(value) ? new Date(value) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) {
    const text = `parsing time ${JSON.stringify(value)}: must be RFC 3339, as 2026-01-02T03:04:05Z`;
    context.addIssue({ code: 'custom', message: text, params: { text } });
    return z.NEVER;
  }
  if (range.min && time < range.min) {
    violate(context, 'gte');
  } else if (range.max && time > range.max) {
    violate(context, 'lte');
  }
  return time;
}

/** A time that must be there. */
export function requiredTime(range: TimeRange = {}) {
  return z
    .string()
    .nullish()
    .transform((value, context) => {
      if (!value) {
        violate(context, 'required');
        return z.NEVER;
      }
      return readTime(value, range, context);
    })
    .meta({ format: 'date-time', ...REQUIRED });
}

/** A time that may be left out. */
export function optionalTime(range: TimeRange = {}) {
  return z
    .string()
    .nullish()
    .transform((value, context) => (value ? readTime(value, range, context) : undefined))
    .meta({ format: 'date-time' });
}

export function optionalFlag() {
  return z
    .boolean()
    .nullish()
    .transform((value) => value ?? undefined);
}

/** How many elements a list may have: rules `gte` and `lte`. */
interface Size {
  min?: number;
  max: number;
}

function sizeMeta({ min, max }: Size): Record<string, unknown> {
  return { ...(min === undefined ? {} : { minItems: min }), maxItems: max };
}

/** A list that may be left out; its size counts when it is there, even when it is empty. */
export function optionalList<T extends z.ZodType>(element: T, size: Size) {
  return z
    .array(element)
    .nullish()
    .transform((value, context) => {
      if (value) {
        checkNumber(value.length, size, context);
      }
      return value ?? undefined;
    })
    .meta(sizeMeta(size));
}

/** An object of any keys that may be left out, of so many entries at most. */
export function optionalEntries<T extends z.ZodType>(value: T, size: Size) {
  return z
    .record(z.string(), value)
    .nullish()
    .transform((entries, context) => {
      checkNumber(Object.keys(entries ?? {}).length, size, context);
      return entries ?? undefined;
    })
    .meta({ maxProperties: size.max });
}

/** A list that must be there; it may be empty. */
export function requiredList<T extends z.ZodType>(element: T, size: Size) {
  return z
    .array(element)
    .nullish()
    .transform((value, context) => {
      if (!value) {
        violate(context, 'required');
        return z.NEVER;
      }
      checkNumber(value.length, size, context);
      return value;
    })
    .meta({ ...sizeMeta(size), ...REQUIRED });
}

/** An object that may be left out. Keys that it does not name are ignored, as everywhere in the API. */
export function optionalObject<T extends z.ZodRawShape>(shape: T) {
  return z
    .object(shape)
    .nullish()
    .transform((value) => value ?? undefined);
}

/** An object that must be there; it may be empty. */
export function requiredObject<T extends z.ZodRawShape>(shape: T) {
  return z
    .object(shape)
    .nullish()
    .transform((value, context) => {
      if (!value) {
        violate(context, 'required');
        return z.NEVER;
      }
      return value;
    })
    .meta(REQUIRED);
}

/** A whole number in a query; absent and empty are the same. */
export function queryInteger(range: Range = {}) {
  return queryNumber(range, 'ParseInt');
}

/** An id in a query: a whole number ≥ 0. */
export function queryId() {
  return queryNumber({ min: 0 }, 'ParseUint');
}

/** An id in a query that must be there. */
export function requiredQueryId() {
  return z
    .string()
    .nullish()
    .transform((value, context) => {
      if (!value || /^0+$/.test(value)) {
        violate(context, 'required');
        return z.NEVER;
      }
      const id = integerIn(value, 'ParseUint');
      if (typeof id === 'string') {
        context.addIssue({ code: 'custom', message: id, params: { text: id } });
        return z.NEVER;
      }
      return id;
    })
    .meta({ type: 'integer', format: 'int64', minimum: 1, ...REQUIRED });
}

function queryNumber(range: Range, parser: IntegerParser) {
  return z
    .string()
    .nullish()
    .transform((value, context) => {
      if (!value) {
        return undefined;
      }
      const number = integerIn(value, parser);
      if (typeof number === 'string') {
        context.addIssue({ code: 'custom', message: number, params: { text: number } });
        return z.NEVER;
      }
      if (number !== 0) {
        checkNumber(number, range, context);
      }
      return number;
    })
    .meta({ type: 'integer', format: 'int64', ...numberMeta(range) });
}

type IntegerParser = 'ParseInt' | 'ParseUint';

const INTEGERS: Readonly<Record<IntegerParser, { pattern: RegExp; min: bigint; max: bigint }>> = {
  ParseInt: { pattern: /^[-+]?\d{1,100}$/, min: -(2n ** 63n), max: 2n ** 63n - 1n },
  ParseUint: { pattern: /^\d{1,100}$/, min: 0n, max: 2n ** 64n - 1n },
};

/**
 * A number of 64 bits in a path or query, read as the original does. Beyond 2^53 it is only near to what was written:
 * good enough for an id that no row can have, and for a page that no list has.
 * @returns a text when it is none
 */
export function integerIn(text: string, parser: IntegerParser): number | string {
  const { pattern, min, max } = INTEGERS[parser];
  const problem = (what: string): string => `strconv.${parser}: parsing ${JSON.stringify(text)}: ${what}`;
  if (!pattern.test(text)) {
    return problem('invalid syntax');
  }
  const exact = BigInt(text.replace(/^\+/, ''));
  return exact < min || exact > max ? problem('value out of range') : Number(exact);
}

const INITIALISMS: Readonly<Record<string, string>> = {
  id: 'ID',
  ids: 'IDs',
  ip: 'IP',
  ips: 'IPs',
  idc: 'IDC',
  url: 'URL',
  urls: 'URLs',
  cidrs: 'CIDRs',
};

/** `seed_peer_cluster_id` → `SeedPeerClusterID`, the field name in the original's texts. */
function goName(key: PropertyKey): string {
  return String(key)
    .split('_')
    .map((word) => INITIALISMS[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** Violations that are named; a body of 10 MB has room for a million. */
const MAX_NAMED_VIOLATIONS = 100;

/** One line per violation, in the words of the original; each names the field and the rule. */
export function violationText(name: string, issues: readonly z.core.$ZodIssue[]): string {
  const more = issues.length - MAX_NAMED_VIOLATIONS;
  return violationLines(name, issues.slice(0, MAX_NAMED_VIOLATIONS))
    .concat(more > 0 ? [`and ${more} more`] : [])
    .join('\n');
}

function violationLines(name: string, issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.map((issue) => {
    const params = issue.code === 'custom' ? issue.params : undefined;
    if (typeof params?.['text'] === 'string') {
      return params['text'];
    }
    const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : goName(part)));
    if (typeof params?.['tag'] === 'string') {
      return ruleText(name, path, params['tag']);
    }
    const size = issue.code === 'too_big' ? 'max' : issue.code === 'too_small' ? 'min' : undefined;
    if (size) {
      return ruleText(name, path, size);
    }
    const expected = issue.code === 'invalid_type' ? issue.expected : issue.message;
    return `json: cannot unmarshal value into Go struct field ${[name, ...issue.path.map(String)].join('.')} of type ${expected}`;
  });
}

function ruleText(name: string, path: readonly string[], tag: string): string {
  const key = [name, ...path].join('.').replaceAll('.[', '[');
  return `Key: '${key}' Error:Field validation for '${path.at(-1) ?? name}' failed on the '${tag}' tag`;
}
