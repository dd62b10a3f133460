import type { EntitySchemaColumnOptions, ValueTransformer } from 'typeorm';

/** The two SQL families: `mysql` stands for MySQL and MariaDB. */
export type Dialect = 'sqlite' | 'mysql';

interface ColumnChoice {
  nullable?: boolean;
  default?: string | number | boolean;
}

/** SQLite's driver gives numbers for 64-bit columns, MySQL's gives text: code sees numbers. */
const bigIntegerAsNumber: ValueTransformer = {
  from: (value: string | number | bigint | null) => (value === null ? null : Number(value)),
  to: (value: unknown) => value,
};

function parseJson(text: string | null): unknown {
  return text === null || text === '' ? null : JSON.parse(text);
}

/** As the original: NULL, '' and 'null' read as {}; always written as an object. */
const jsonObject: ValueTransformer = {
  from: (text: string | null) => parseJson(text) ?? {},
  to: (value: unknown) => (value === undefined ? undefined : JSON.stringify(value ?? {})),
};

/** As the original: NULL, '' and 'null' read as []; null is written as NULL. */
const jsonArray: ValueTransformer = {
  from: (text: string | null) => parseJson(text) ?? [],
  to: (value: unknown) => (value === undefined || value === null ? value : JSON.stringify(value)),
};

/** Columns of the entity schemas in the words of one dialect. */
export class Columns {
  constructor(private readonly dialect: Dialect) {}

  /** Generated primary key. */
  id(): EntitySchemaColumnOptions {
    return this.dialect === 'sqlite'
      ? { type: 'integer', primary: true, generated: 'increment' }
      : { type: 'bigint', unsigned: true, primary: true, generated: 'increment', transformer: bigIntegerAsNumber };
  }

  bigUnsigned(name: string, choice: ColumnChoice & { primary?: boolean } = {}): EntitySchemaColumnOptions {
    const column: EntitySchemaColumnOptions = { name, type: 'bigint', transformer: bigIntegerAsNumber, ...choice };
    return this.dialect === 'sqlite' ? column : { ...column, unsigned: true };
  }

  big(name: string, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { name, type: 'bigint', transformer: bigIntegerAsNumber, ...choice };
  }

  int(name: string, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { name, type: this.dialect === 'sqlite' ? 'integer' : 'int', ...choice };
  }

  boolean(name: string): EntitySchemaColumnOptions {
    return { name, type: 'boolean', default: false };
  }

  varchar(name: string, length: number, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { name, type: 'varchar', length, ...choice };
  }

  longText(name: string, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { name, type: this.dialect === 'sqlite' ? 'text' : 'longtext', ...choice };
  }

  json(name: string, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { ...this.longText(name, choice), transformer: jsonObject };
  }

  jsonList(name: string, choice: ColumnChoice = {}): EntitySchemaColumnOptions {
    return { ...this.longText(name, choice), transformer: jsonArray };
  }

  /** UTC with milliseconds. */
  dateTime(name: string): EntitySchemaColumnOptions {
    return this.dialect === 'sqlite'
      ? { name, type: 'datetime', nullable: true }
      : { name, type: 'datetime', precision: 3, nullable: true };
  }

  /** UTC with seconds; filled with the time of the insert when left out. */
  timestamp(name: string, choice: { nullable?: boolean } = {}): EntitySchemaColumnOptions {
    return {
      name,
      type: this.dialect === 'sqlite' ? 'datetime' : 'timestamp',
      default: () => 'CURRENT_TIMESTAMP',
      ...choice,
    };
  }

  /** The columns that every resource has. */
  resource(): Record<'id' | 'createdAt' | 'updatedAt' | 'isDel', EntitySchemaColumnOptions> {
    return {
      id: this.id(),
      createdAt: this.dateTime('created_at'),
      updatedAt: this.dateTime('updated_at'),
      isDel: this.bigUnsigned('is_del', { nullable: true }),
    };
  }
}
