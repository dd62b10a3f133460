import type { QueryRunner, Table, TableColumnOptions } from 'typeorm';

/** What keeps a table that is there already from being used as ours. */
export interface SchemaDifference {
  readonly table: string;
  /** Name of the column; the columns of a key, with commas. */
  readonly column: string;
  readonly expected: string;
  readonly found: string;
}

/** A column as the server's catalogue has it. */
interface FoundColumn {
  readonly name: string;
  /** `varchar`. */
  readonly type: string;
  /** `varchar(256)`, `bigint(20) unsigned`. */
  readonly fullType: string;
  readonly isNullable: string;
  /** Characters; null for what is no text. */
  readonly length: string | number | null;
  /** Digits of a second; null for what is no time. */
  readonly digits: string | number | null;
  readonly extra: string;
  readonly preset: string | null;
}

interface FoundKeyPart {
  readonly key: string;
  readonly column: string;
  /** Characters of a key that holds the beginning of its values only. */
  readonly prefix: string | number | null;
}

const INTEGERS = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint'];
/** A JSON body is as long as the API takes it at most: `text` (64 KiB) is too short, `json` is not read as text. */
const LONG_TEXTS: readonly string[] = ['mediumtext', 'longtext'];
const TIMES: readonly string[] = ['timestamp', 'datetime'];
const NONE = 'none';

/** Text of a list of differences, for people: each names table, column, what is expected and what was found. */
export function differencesText(differences: readonly SchemaDifference[]): string {
  return differences
    .map(({ table, column, expected, found }) => `${table}.${column}: expected ${expected}, found ${found}`)
    .join('; ');
}

/**
 * Compares a table of a MySQL or MariaDB database with the one that we would make. What can hold and does all that ours does
 * is as good: longer texts, numbers with or without sign, more digits of time, another collation or order of
 * columns, further columns that need not be filled, further keys that forbid nothing.
 */
export async function mysqlDifferences(runner: QueryRunner, planned: Table): Promise<SchemaDifference[]> {
  const columns = await foundColumns(runner, planned.name);
  const keys = await uniqueKeys(runner, planned.name);
  return [
    ...planned.columns.flatMap((column) => columnDifference(planned.name, column, columns.get(column.name))),
    ...[...columns.values()].flatMap((column) => strangerDifference(planned, column)),
    ...keyDifferences(planned, keys),
  ];
}

/** On SQLite there is no original to take over; what is looked for is a file of something else. */
export async function sqliteDifferences(runner: QueryRunner, planned: Table): Promise<SchemaDifference[]> {
  const present = new Set((await runner.getTable(planned.name))?.columns.map(({ name }) => name));
  return planned.columns
    .filter(({ name }) => !present.has(name))
    .map((column) => ({ table: planned.name, column: column.name, expected: wording(column), found: NONE }));
}

function columnDifference(table: string, expected: TableColumnOptions, found: FoundColumn | undefined) {
  if (found !== undefined && isAsGood(expected, found)) {
    return [];
  }
  const [name, isNullable] = [expected.name, found?.isNullable === 'YES'];
  const text = found === undefined ? NONE : `${found.fullType} ${nullWord(isNullable)}${numbered(isNumbered(found))}`;
  return [{ table, column: name, expected: wording(expected), found: text }];
}

function isAsGood(expected: TableColumnOptions, found: FoundColumn): boolean {
  return (
    holdsAll(expected, found) &&
    (found.isNullable === 'YES') === (expected.isNullable === true) &&
    (expected.isGenerated !== true || isNumbered(found))
  );
}

function holdsAll({ type, length, precision }: TableColumnOptions, found: FoundColumn): boolean {
  switch (type) {
    case 'varchar':
      return found.type !== 'char' && found.length !== null && Number(found.length) >= Number(length);
    case 'longtext':
      return LONG_TEXTS.includes(found.type);
    case 'datetime':
      return found.type === 'datetime' && Number(found.digits) >= (precision ?? 0);
    case 'timestamp':
      return TIMES.includes(found.type);
    default:
      // The driver reads a bigint as text; columns that are ours to be one are read accordingly.
      return (found.type !== 'bigint' || type === 'bigint') && INTEGERS.indexOf(found.type) >= INTEGERS.indexOf(type);
  }
}

/** A column that only others know must not keep us from adding rows. */
function strangerDifference(planned: Table, found: FoundColumn): SchemaDifference[] {
  const isOurs = planned.columns.some(({ name }) => name === found.name);
  if (isOurs || found.isNullable === 'YES' || found.preset !== null || found.extra !== '') {
    return [];
  }
  const text = `${found.fullType} not null without a default`;
  return [{ table: planned.name, column: found.name, expected: 'no such column, or one with a default', found: text }];
}

function keyDifferences({ name: table, columns, indices }: Table, keys: readonly FoundKeyPart[][]): SchemaDifference[] {
  const wanted = [
    { kind: 'primary key', columns: columns.filter(({ isPrimary }) => isPrimary).map(({ name }) => name) },
    ...indices
      .filter(({ isUnique }) => isUnique)
      .map(({ columnNames }) => ({ kind: 'unique key', columns: columnNames })),
  ];
  const lacking = wanted
    .filter((key) => !keys.some((parts) => covers(parts, key.columns)))
    .map((key) => ({
      table,
      column: key.columns.join(', '),
      expected: key.kind === 'primary key' ? 'a primary key' : 'a unique key',
      found: NONE,
    }));
  // One that has all columns of a key of ours forbids nothing that ours allows.
  const tooStrict = keys
    .filter((parts) => !wanted.some((key) => key.columns.every((column) => hasWhole(parts, column))))
    .map((parts) => ({
      table,
      column: parts.map(({ column }) => column).join(', '),
      expected: 'no unique key',
      found: `unique key ${parts[0]?.key ?? ''}${parts.some(({ prefix }) => prefix !== null) ? ' over a part of the values' : ''}`,
    }));
  return [...lacking, ...tooStrict];
}

function covers(parts: readonly FoundKeyPart[], columns: readonly string[]): boolean {
  return parts.length === columns.length && columns.every((column) => hasWhole(parts, column));
}

function hasWhole(parts: readonly FoundKeyPart[], column: string): boolean {
  return parts.some((part) => part.column === column && part.prefix === null);
}

function isNumbered({ extra }: FoundColumn): boolean {
  return extra.toLowerCase().includes('auto_increment');
}

function wording({ type, length, precision, isNullable, isGenerated }: TableColumnOptions): string {
  // A column without a length has an empty one.
  const size = length || precision;
  const text = size ? `${type}(${size})` : type;
  return `${text} ${nullWord(isNullable === true)}${numbered(isGenerated === true)}`;
}

function nullWord(isNullable: boolean): string {
  return isNullable ? 'null' : 'not null';
}

function numbered(isGenerated: boolean): string {
  return isGenerated ? ' auto_increment' : '';
}

async function foundColumns(runner: QueryRunner, table: string): Promise<Map<string, FoundColumn>> {
  const rows = (await runner.query(
    `SELECT column_name AS name, LOWER(data_type) AS type, column_type AS fullType, is_nullable AS isNullable,
       character_maximum_length AS length, datetime_precision AS digits, extra AS extra, column_default AS preset
     FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`,
    [table],
  )) as FoundColumn[];
  return new Map(rows.map((row) => [row.name, row]));
}

async function uniqueKeys(runner: QueryRunner, table: string): Promise<FoundKeyPart[][]> {
  const parts = (await runner.query(
    `SELECT index_name AS \`key\`, column_name AS \`column\`, sub_part AS prefix FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 ORDER BY index_name, seq_in_index`,
    [table],
  )) as FoundKeyPart[];
  return [...Map.groupBy(parts, ({ key }) => key).values()];
}
