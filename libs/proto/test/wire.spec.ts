import { readFileSync } from 'node:fs';
import { type DescField, type DescMessage, type DescMethod, ScalarType } from '@bufbuild/protobuf';
import { descriptors } from '../src/descriptors.js';

/** The wire as it must stay: per package its enums, messages and services in a compact form. */
interface WirePackage {
  readonly enums: Record<string, Record<string, number>>;
  /** Field name → `number type [label]`; `(reserved)` → numbers and names. */
  readonly messages: Record<string, Record<string, string>>;
  /** Method name → `kind: request -> response`. */
  readonly services: Record<string, Record<string, string>>;
}

const wire = JSON.parse(readFileSync(new URL('./vectors/wire-v2.json', import.meta.url), 'utf8')) as Record<
  string,
  WirePackage
>;

/** Names inside their own package are written without it, as in the table. */
function nameIn(packageName: string, typeName: string): string {
  return typeName.startsWith(`${packageName}.`) ? typeName.slice(packageName.length + 1) : typeName;
}

function typeOf(field: DescField, packageName: string): string {
  const scalar = (type: ScalarType): string => ScalarType[type].toLowerCase();
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar);
    case 'enum':
      return nameIn(packageName, field.enum.typeName);
    case 'message':
      return nameIn(packageName, field.message.typeName);
    case 'map':
      return `map<${scalar(field.mapKey)},${field.mapKind === 'scalar' ? scalar(field.scalar) : '?'}>`;
    case 'list':
      if (field.listKind === 'scalar') return scalar(field.scalar);
      return nameIn(packageName, field.listKind === 'enum' ? field.enum.typeName : field.message.typeName);
  }
}

function labelOf(field: DescField): string {
  if (field.oneof !== undefined) return ` oneof ${field.oneof.name}`;
  if (field.fieldKind === 'list') return ' repeated';
  return field.proto.proto3Optional ? ' optional' : '';
}

function describeMessage(message: DescMessage, packageName: string): Record<string, string> {
  const table: Record<string, string> = {};
  for (const field of message.fields) {
    table[field.name] = `${field.number} ${typeOf(field, packageName)}${labelOf(field)}`;
  }
  const { reservedRange, reservedName } = message.proto;
  if (reservedRange.length > 0) {
    const numbers = reservedRange.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
    table['(reserved)'] = [...numbers, ...reservedName].join(' ');
  }
  return table;
}

function describeMethod(method: DescMethod, packageName: string): string {
  const kinds = {
    unary: 'unary',
    server_streaming: 'server stream',
    client_streaming: 'client stream',
    bidi_streaming: 'bidi stream',
  };
  const [input, output] = [method.input, method.output].map(({ typeName }) => nameIn(packageName, typeName));
  return `${kinds[method.methodKind]}: ${input} -> ${output}`;
}

describe('the descriptors are those of the wire', () => {
  const ours: Record<string, WirePackage> = {};
  for (const type of descriptors()) {
    const packageName = type.kind === 'extension' ? '' : type.file.proto.package;
    if (!(packageName in wire) || type.kind === 'extension') continue;
    const entry = (ours[packageName] ??= { enums: {}, messages: {}, services: {} });
    if (type.kind === 'enum') entry.enums[type.name] = Object.fromEntries(type.values.map((v) => [v.name, v.number]));
    if (type.kind === 'message') entry.messages[type.name] = describeMessage(type, packageName);
    if (type.kind === 'service') {
      entry.services[type.name] = Object.fromEntries(type.methods.map((m) => [m.name, describeMethod(m, packageName)]));
    }
  }

  it.each(Object.keys(wire))('%s: every enum, message, field, label, reservation and method', (packageName) => {
    expect(ours[packageName]).toEqual(wire[packageName]);
  });

  it('and there is as much of it as there should be', () => {
    const count = (pick: (p: WirePackage) => object): number =>
      Object.values(wire).reduce((sum, p) => sum + Object.keys(pick(p)).length, 0);
    expect([count((p) => p.enums), count((p) => p.messages), count((p) => p.services)]).toEqual([6, 190, 4]);
    const methods = Object.values(wire).flatMap((p) => Object.values(p.services).flatMap((s) => Object.keys(s)));
    expect(methods).toHaveLength(86);
  });
});
