import { applyDecorators } from '@nestjs/common';
import { ApiOkResponse, ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';

/** Every named body of the API; their names are those of the original's objects. */
const bodies = z.registry<{ id: string }>();

/** Names a body, so that the API description has it once and refers to it. */
export function bodyType<S extends z.ZodType>(name: string, schema: S): S {
  bodies.add(schema, { id: name });
  return schema;
}

const REFERENCE_PREFIX = '#/components/schemas/';

/** The named bodies as schemas of the API description. */
export function bodySchemas(): Record<string, object> {
  const { schemas } = z.toJSONSchema(bodies, {
    target: 'openapi-3.0',
    io: 'output',
    uri: (id) => `${REFERENCE_PREFIX}${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $id: _id, $schema: _dialect, ...schema }]) => [name, schema]),
  );
}

function referenceTo(schema: z.ZodType): { $ref: string } {
  const id = bodies.get(schema)?.id;
  if (id === undefined) {
    throw new Error('the body of an answer must be named with bodyType');
  }
  return { $ref: `${REFERENCE_PREFIX}${id}` };
}

type Described =
  Exclude<Parameters<typeof ApiOkResponse>[0], undefined> extends infer Options
    ? Options extends { schema: infer Schema }
      ? Schema
      : never
    : never;

function plainSchema(schema: z.ZodType): Described {
  if (bodies.has(schema)) {
    return referenceTo(schema);
  }
  const { $schema: _dialect, ...content } = z.toJSONSchema(schema, { target: 'openapi-3.0' });
  return content as Described;
}

/** The route answers 200 with this body. */
export function Answers(schema: z.ZodType): MethodDecorator {
  return ApiOkResponse({ description: 'OK', schema: referenceTo(schema) });
}

/** The route answers 200 with a page of such bodies and a Link header. */
export function AnswersPage(schema: z.ZodType): MethodDecorator {
  return ApiOkResponse({
    description: 'OK',
    schema: { type: 'array', items: referenceTo(schema) },
    headers: {
      link: {
        description: 'prev, next, first and last page: `<path?query>;rel=…`, joined with commas; last is 0 when empty',
        schema: { type: 'string' },
      },
    },
  });
}

/** The route answers 200 with a plain list. */
export function AnswersList(schema: z.ZodType): MethodDecorator {
  return ApiOkResponse({ description: 'OK', schema: { type: 'array', items: plainSchema(schema) } });
}

/** The route answers 200 without a body. */
export function AnswersNothing(): MethodDecorator {
  return ApiOkResponse({ description: 'OK, without a body' });
}

/** The route answers 200 with a text. */
export function AnswersText(description: string): MethodDecorator {
  return ApiOkResponse({ description, content: { 'text/plain': { schema: { type: 'string' } } } });
}

/** The route answers these statuses without a body, at least in some cases. */
export function RefusesWithoutBody(...statuses: number[]): MethodDecorator {
  return applyDecorators(
    ...statuses.map((status) => ApiResponse({ status, description: 'Refused; there may be no body' })),
  );
}

/** The route answers with a redirect. */
export function AnswersRedirect(): MethodDecorator {
  return applyDecorators(ApiResponse({ status: 302, description: 'Redirect' }));
}

/** The route answers 200 with JSON of a form that depends on the request. */
export function AnswersAnything(description: string): MethodDecorator {
  return ApiOkResponse({ description, content: { 'application/json': { schema: {} } } });
}
