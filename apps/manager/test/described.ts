/** The parts of a JSON schema that the API description uses. */
interface Schema {
  $ref?: string;
  type?: string;
  nullable?: boolean;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  allOf?: Schema[];
  format?: string;
}

interface Response {
  description?: string;
  $ref?: string;
  content?: Record<string, { schema?: Schema }>;
}

interface Operation {
  responses: Record<string, Response>;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

/** The API description as it is served. */
export interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, Response> };
}

export type { Operation, Schema };

/** The route of a request, as `GET /api/v1/clusters/{id}`; undefined for what is not described. */
export function routeOf(description: Description, method: string, path: string): string | undefined {
  const parts = (path.split('?')[0] ?? '').split('/');
  const fits = (pattern: string): boolean => {
    const wanted = pattern.split('/');
    return wanted.length === parts.length && wanted.every((part, i) => part.startsWith('{') || part === parts[i]);
  };
  // A fixed part wins over a parameter.
  const [found] = Object.keys(description.paths)
    .filter((pattern) => fits(pattern) && description.paths[pattern]?.[method.toLowerCase()])
    .sort((a, b) => a.split('{').length - b.split('{').length);
  return found && `${method} ${found}`;
}

/** What in the answer is not as described; empty when all is. */
export function violations(
  description: Description,
  route: string,
  answer: { status: number; body: unknown },
): string[] {
  const [method = '', pattern = ''] = route.split(' ');
  const operation = description.paths[pattern]?.[method.toLowerCase()];
  const named = operation?.responses[String(answer.status)];
  const response = named?.$ref ? description.components.responses[named.$ref.split('/').at(-1) ?? ''] : named;
  if (!response) {
    return [`status ${answer.status} is not described`];
  }
  const schema = Object.values(response.content ?? {})[0]?.schema;
  if (answer.body === '') {
    return schema && answer.status === 200 ? ['no body, but one is described'] : [];
  }
  if (schema) {
    return mismatches(description, schema, answer.body, '$');
  }
  // Refusals that have a body in some cases only: a description cannot say that.
  return answer.status >= 400 ? [] : ['a body, but none is described'];
}

function mismatches(description: Description, schema: Schema, value: unknown, at: string): string[] {
  if (schema.$ref) {
    const named = description.components.schemas[schema.$ref.split('/').at(-1) ?? ''];
    return named ? mismatches(description, named, value, at) : [`${at}: ${schema.$ref} does not exist`];
  }
  if (schema.anyOf) {
    const tries = schema.anyOf.map((one) => mismatches(description, one, value, at));
    return tries.some((found) => found.length === 0) ? [] : (tries[0] ?? []);
  }
  if (schema.allOf) {
    return value === null && schema.nullable
      ? []
      : schema.allOf.flatMap((one) => mismatches(description, one, value, at));
  }
  if (value === null) {
    return schema.nullable || schema.type === 'null' || schema.enum?.includes(null) || !schema.type
      ? []
      : [`${at}: is null`];
  }
  if (schema.enum && !schema.enum.includes(value)) {
    return [`${at}: ${JSON.stringify(value)} is none of ${schema.enum.join()}`];
  }
  switch (schema.type) {
    case 'object':
      return objectMismatches(description, schema, value, at);
    case 'array':
      return Array.isArray(value)
        ? value.flatMap((one, i) => mismatches(description, schema.items ?? {}, one, `${at}[${i}]`))
        : [`${at}: is no array`];
    case 'string':
      return typeof value === 'string' && (schema.format !== 'date-time' || /^\d{4}-.*Z$/.test(value))
        ? []
        : [`${at}: ${JSON.stringify(value)} is no ${schema.format ?? 'string'}`];
    case 'integer':
      return Number.isInteger(value) ? [] : [`${at}: is no integer`];
    case 'number':
    case 'boolean':
      return typeof value === schema.type ? [] : [`${at}: is no ${schema.type}`];
    default:
      return [];
  }
}

function objectMismatches(description: Description, schema: Schema, value: unknown, at: string): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [`${at}: is no object`];
  }
  const properties = schema.properties ?? {};
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${at}.${name}: is missing`);
  const wrong = Object.entries(value).flatMap(([name, part]) => {
    const known = properties[name];
    if (known) {
      return mismatches(description, known, part, `${at}.${name}`);
    }
    return schema.additionalProperties === false ? [`${at}.${name}: is not described`] : [];
  });
  return [...missing, ...wrong];
}
