import { DfError } from '@dragonfly/errors';
import { Body, Param, type PipeTransform, Query } from '@nestjs/common';
import { ApiBody, type ApiBodyOptions, ApiParam, ApiQuery } from '@nestjs/swagger';
import { z } from 'zod';
import { integerIn, violationText, withRequired, type RequestType } from './rest-schema.js';

/** A request that breaks a rule: 422 with the text under `errors`. */
export function invalidRequest(text: string): DfError {
  return new DfError('invalid-argument', text, { details: { status: 422 } });
}

/** A request that the state of the row does not allow, on a route of ours: 409. The original's refusals are 500. */
export function stateConflict(text: string): DfError {
  return new DfError('failed-precondition', text, { details: { status: 409 } });
}

class RequestPipe<S extends z.ZodType> implements PipeTransform<unknown, z.output<S>> {
  constructor(private readonly type: RequestType<S>) {}

  transform(value: unknown): z.output<S> {
    const { schema, translate } = this.type;
    const parsed = schema.safeParse((translate ? translate(value) : value) ?? {});
    if (!parsed.success) {
      throw invalidRequest(violationText(this.type.name, parsed.error.issues));
    }
    return parsed.data;
  }
}

class IdPipe implements PipeTransform<string, number> {
  transform(value: string): number {
    const id = integerIn(value, 'ParseUint');
    if (typeof id === 'string') {
      throw invalidRequest(id);
    }
    return id;
  }
}

type OpenApiSchema = NonNullable<Extract<ApiBodyOptions, { schema?: unknown }>['schema']>;

/** The request type as a schema of the API description. */
export function requestSchema(type: RequestType): OpenApiSchema {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(type.schema, { io: 'input', target: 'openapi-3.0' });
  return withRequired(schema) as OpenApiSchema;
}

function describe(decorator: MethodDecorator, target: object, key: string | symbol | undefined): void {
  const descriptor = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
  if (key !== undefined && descriptor) {
    decorator(target, key, descriptor);
  }
}

/**
 * The body, checked against the request type, which also describes it in the API description.
 * @param kinds what it may be in detail, where the handler checks that itself; described instead of the type
 */
export function JsonBody(type: RequestType, kinds: readonly RequestType[] = []): ParameterDecorator {
  const described = kinds.map((kind) => ({ title: kind.name, ...requestSchema(kind) }));
  return (target, key, index) => {
    Body(new RequestPipe(type))(target, key, index);
    describe(ApiBody({ schema: kinds.length === 0 ? requestSchema(type) : { anyOf: described } }), target, key);
  };
}

/** The query parameters, checked against the request type. */
export function QueryOf(type: RequestType): ParameterDecorator {
  return (target, key, index) => {
    Query(new RequestPipe(type))(target, key, index);
    const { properties = {}, required = [] } = requestSchema(type) as {
      properties?: Record<string, object>;
      required?: string[];
    };
    for (const [name, schema] of Object.entries(properties)) {
      describe(ApiQuery({ name, required: required.includes(name), schema }), target, key);
    }
  };
}

/** Longest name in a path: that of the longest column. */
const MAX_NAME_LENGTH = 256;

class NamePipe implements PipeTransform<string, string> {
  constructor(
    private readonly name: string,
    private readonly maxLength: number,
  ) {}

  transform(value: string): string {
    if (value === '' || [...value].length > this.maxLength) {
      throw invalidRequest(`Key: '${this.name}' Error:Field validation for '${this.name}' failed on the 'max' tag`);
    }
    return value;
  }
}

/** A name in the path. @param maxLength in characters */
export function NameParam(name: string, maxLength = MAX_NAME_LENGTH): ParameterDecorator {
  return (target, key, index) => {
    Param(name, new NamePipe(name, maxLength))(target, key, index);
    describe(ApiParam({ name, schema: { type: 'string', minLength: 1, maxLength } }), target, key);
  };
}

/** An id in the path. */
export function IdParam(name = 'id'): ParameterDecorator {
  return (target, key, index) => {
    Param(name, new IdPipe())(target, key, index);
    describe(ApiParam({ name, schema: { type: 'integer', format: 'int64', minimum: 0 } }), target, key);
  };
}
