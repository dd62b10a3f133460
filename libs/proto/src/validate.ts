import { type DescField, type DescMessage, type DescOneof, ScalarType } from '@bufbuild/protobuf';
import { descriptors } from './descriptors.js';
import { validationRules } from './rules/index.js';
import type { FieldRules } from './rules/rule-table.js';
import { isAbsoluteUri, isHostname, isIpAddress } from './text-formats.js';

type MessageObject = Readonly<Record<string, unknown>>;

/**
 * A compiled check. Returns undefined, or what is wrong as `<path>: <rule>`, where the path is relative to the checked
 * message or value (`.host.ip`, `[2].id`): only a violation pays for building it.
 */
type Check<T> = (value: T) => string | undefined;

/** Checks by full message name; null for a message that has no rules and reaches none. */
const compiled = new Map<string, Check<MessageObject> | null>();

/**
 * Checks a decoded message against the rules, members included.
 *
 * @param fullName e.g. `scheduler.v2.AnnounceHostRequest`
 * @param message the ts-proto object of that type
 * @returns the first violation, e.g. `AnnounceHostRequest.host.ip: must be an IP address`, or undefined
 * @throws Error when no such message exists
 */
export function validateMessage(fullName: string, message: unknown): string | undefined {
  const check = checkOf(fullName);
  const violation = check?.(message as MessageObject);
  return violation === undefined ? undefined : fullName.slice(fullName.lastIndexOf('.') + 1) + violation;
}

/**
 * Whether a message of this type can violate anything: it, or a message it may contain, has rules.
 * @throws Error when no such message exists
 */
export function hasRules(fullName: string): boolean {
  return checkOf(fullName) !== null;
}

function checkOf(fullName: string): Check<MessageObject> | null {
  const known = compiled.get(fullName);
  if (known !== undefined) return known;
  const descriptor = descriptors().getMessage(fullName);
  if (descriptor === undefined) throw new Error(`unknown message ${fullName}`);
  const check = reachesRules(descriptor, new Set()) ? compileMessage(descriptor) : null;
  compiled.set(fullName, check);
  return check;
}

/** @param seen messages already looked at: messages may contain each other */
function reachesRules(message: DescMessage, seen: Set<string>): boolean {
  if (seen.has(message.typeName)) return false;
  seen.add(message.typeName);
  const rules = validationRules[message.typeName];
  if (rules?.requiredOneofs !== undefined) return true;
  if (Object.values(rules?.fields ?? {}).some((field) => !isVacuous(field))) return true;
  return message.fields.some((field) => {
    // `message` is the type inside a field, be it singular, repeated or a map's value.
    return field.message !== undefined && reachesRules(field.message, seen);
  });
}

/** `min_len=1; ignore_empty` asks for nothing: the only value that is too short is the one that is ignored. */
function isVacuous(rules: FieldRules): boolean {
  return Object.entries(rules).every(
    ([rule, value]) => rule === 'ignoreEmpty' || (rules.ignoreEmpty && value === 1 && /^min(Length|Items)$/.test(rule)),
  );
}

function compileMessage(message: DescMessage): Check<MessageObject> {
  const rules = validationRules[message.typeName];
  for (const name of Object.keys(rules?.fields ?? {})) {
    if (!message.fields.some((field) => field.name === name)) {
      throw new Error(`rule for a field that does not exist: ${message.typeName}.${name}`);
    }
  }
  const checks: Check<MessageObject>[] = [];
  for (const member of message.members) {
    const check =
      member.kind === 'oneof'
        ? compileOneof(member, rules?.requiredOneofs?.includes(member.name) ?? false, rules?.fields ?? {})
        : compileField(member, rules?.fields?.[member.name] ?? {});
    if (check !== undefined) checks.push(check);
  }
  return (value) => {
    for (const check of checks) {
      const violation = check(value);
      if (violation !== undefined) return violation;
    }
    return undefined;
  };
}

/** A oneof is `{ $case, value }` under the oneof's name, or undefined. */
function compileOneof(
  oneof: DescOneof,
  isRequired: boolean,
  fieldRules: Readonly<Record<string, FieldRules>>,
): Check<MessageObject> | undefined {
  const members = new Map<string, Check<unknown>>();
  for (const field of oneof.fields) {
    const check = compileValue(field, fieldRules[field.name] ?? {});
    if (check !== undefined) members.set(field.localName, prefixed(`.${field.name}`, check));
  }
  if (!isRequired && members.size === 0) return undefined;
  const missing = `.${oneof.name}: one of ${oneof.fields.map((field) => field.name).join(', ')} is required`;
  const key = oneof.localName;
  return (message) => {
    const choice = message[key] as { $case: string; value: unknown } | undefined;
    if (choice === undefined) return isRequired ? missing : undefined;
    return members.get(choice.$case)?.(choice.value);
  };
}

function compileField(field: DescField, rules: FieldRules): Check<MessageObject> | undefined {
  const key = field.localName;
  const check = compileValue(field, rules);
  const named = check === undefined ? undefined : prefixed(`.${field.name}`, check);
  const missing = rules.required ? `.${field.name}: is required` : undefined;
  if (named === undefined && missing === undefined) return undefined;
  return (message) => {
    const value = message[key];
    if (value === undefined) return missing;
    return named?.(value);
  };
}

function prefixed(path: string, check: Check<unknown>): Check<unknown> {
  return (value) => {
    const violation = check(value);
    return violation === undefined ? undefined : path + violation;
  };
}

/** Checks of a value that is present: its own rules first, then those inside it. */
function compileValue(field: DescField, rules: FieldRules): Check<unknown> | undefined {
  const checks = [...compileRules(field, rules)];
  const member = field.message;
  if (member !== undefined && reachesRules(member, new Set())) {
    const name = member.typeName;
    // Looked up at the first use: messages may contain each other.
    let inner: Check<MessageObject> | null | undefined;
    const checkMember: Check<unknown> = (value) => (inner ??= checkOf(name))?.(value as MessageObject);
    checks.push(
      field.fieldKind === 'list'
        ? eachOf(checkMember)
        : field.fieldKind === 'map'
          ? eachValueOf(checkMember)
          : checkMember,
    );
  }
  if (checks.length <= 1) return checks[0];
  return (value) => {
    for (const check of checks) {
      const violation = check(value);
      if (violation !== undefined) return violation;
    }
    return undefined;
  };
}

function eachOf(check: Check<unknown>): Check<unknown> {
  return (list) => {
    const items = list as readonly unknown[];
    for (let i = 0; i < items.length; i++) {
      const violation = check(items[i]);
      if (violation !== undefined) return `[${i}]${violation}`;
    }
    return undefined;
  };
}

function eachValueOf(check: Check<unknown>): Check<unknown> {
  return (map) => {
    for (const [key, value] of Object.entries(map as MessageObject)) {
      const violation = check(value);
      if (violation !== undefined) return `[${JSON.stringify(key)}]${violation}`;
    }
    return undefined;
  };
}

function* compileRules(field: DescField, rules: FieldRules): Generator<Check<unknown>> {
  if (isVacuous(rules)) return;
  const wrap = (check: Check<unknown>): Check<unknown> =>
    rules.ignoreEmpty ? (value) => (isEmpty(value) ? undefined : check(value)) : check;

  const number = numberCheck(rules);
  if (number !== undefined) yield wrap(number);
  const seconds = secondsCheck(rules);
  if (seconds !== undefined) yield wrap(seconds);
  const count = countCheck(rules);
  if (count !== undefined) yield wrap(count);
  const length = lengthCheck(field, rules);
  if (length !== undefined) yield wrap(length);
  if (rules.uri) yield wrap(textCheck(isAbsoluteUri, 'must be an absolute URI'));
  if (rules.ip) yield wrap(textCheck(isIpAddress, 'must be an IP address'));
  if (rules.hostname) yield wrap(textCheck(isHostname, 'must be a host name'));
  const { pattern, in: allowed } = rules;
  if (pattern !== undefined) yield wrap(textCheck((text) => pattern.test(text), `must match ${pattern.source}`));
  if (allowed !== undefined) {
    yield wrap(textCheck((text) => allowed.includes(text), `must be in [${allowed.join(', ')}]`));
  }
  if (rules.definedOnly && field.enum !== undefined) {
    const numbers = new Set(field.enum.values.map((value) => value.number));
    const violation = `: must be a number that ${field.enum.name} defines`;
    yield wrap((value) => (numbers.has(value as number) ? undefined : violation));
  }
}

function isEmpty(value: unknown): boolean {
  if (value === '' || value === 0 || value === 0n) return true;
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}

function textCheck(accepts: (text: string) => boolean, rule: string): Check<unknown> {
  const violation = `: ${rule}`;
  return (value) => (accepts(value as string) ? undefined : violation);
}

function numberCheck({ gte, lt, lte }: FieldRules): Check<unknown> | undefined {
  if (gte === undefined && lt === undefined && lte === undefined) return undefined;
  const bounds = [
    gte === undefined ? '' : `>= ${gte}`,
    lt === undefined ? '' : `< ${lt}`,
    lte === undefined ? '' : `<= ${lte}`,
  ];
  const violation = `: must be ${bounds.filter(Boolean).join(' and ')}`;
  return (value) => {
    const number = value as number | bigint;
    const isOutside =
      (gte !== undefined && number < gte) || (lt !== undefined && number >= lt) || (lte !== undefined && number > lte);
    return isOutside ? violation : undefined;
  };
}

function secondsCheck({ gteSeconds, lteSeconds }: FieldRules): Check<unknown> | undefined {
  if (gteSeconds === undefined && lteSeconds === undefined) return undefined;
  const bounds = [
    gteSeconds === undefined ? '' : `>= ${gteSeconds}s`,
    lteSeconds === undefined ? '' : `<= ${lteSeconds}s`,
  ];
  const violation = `: must be ${bounds.filter(Boolean).join(' and ')}`;
  return (value) => {
    const { seconds, nanos } = value as { seconds: bigint; nanos: number };
    const isBelow = gteSeconds !== undefined && (seconds < gteSeconds || (seconds === BigInt(gteSeconds) && nanos < 0));
    const isAbove = lteSeconds !== undefined && (seconds > lteSeconds || (seconds === BigInt(lteSeconds) && nanos > 0));
    return isBelow || isAbove ? violation : undefined;
  };
}

function countCheck({ minItems }: FieldRules): Check<unknown> | undefined {
  if (minItems === undefined) return undefined;
  const violation = `: must have at least ${minItems} item(s)`;
  return (value) => ((value as readonly unknown[]).length < minItems ? violation : undefined);
}

function lengthCheck(field: DescField, { minLength, maxLength, length }: FieldRules): Check<unknown> | undefined {
  const least = length ?? minLength ?? 0;
  const most = length ?? maxLength ?? Infinity;
  if (least === 0 && most === Infinity) return undefined;
  const unit = field.scalar === ScalarType.BYTES ? 'byte(s)' : 'character(s)';
  const range = length !== undefined ? `${length}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`;
  const violation = `: must have ${range} ${unit}`;
  return (value) => {
    const units = (value as string | Uint8Array).length;
    if (units < least) return violation;
    // UTF-16 units overcount; counted exactly only when it matters.
    if (units > most && (typeof value !== 'string' || [...value].length > most)) return violation;
    return undefined;
  };
}
