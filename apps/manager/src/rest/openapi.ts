import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { bodySchemas } from './answers.js';

/** Answers that every route can have beside its own; by status, with the body's schema. */
const SHARED_ANSWERS: Readonly<Record<string, [description: string, schema: string]>> = {
  401: ['no session, or no permission', 'Error'],
  403: ['the personal access token or the caller may not do this', 'Error'],
  404: ['no such row, or none that the caller may see', 'Error'],
  409: ['a row with the same key, or a rule that forbids it', 'Error'],
  413: ['the body is too large', 'Error'],
  422: ['the request breaks a rule', 'Violation'],
  429: ['too many requests, or a quota is used up', 'Error'],
  500: ['refused because of what depends on it, or a fault', 'Error'],
  503: ['the database or the key-value store is away: try again after Retry-After seconds', 'Error'],
};

/** The API description: routes and requests from the controllers, bodies from their named schemas. */
export function apiDescription(app: NestFastifyApplication, version: string): OpenAPIObject {
  const frame = new DocumentBuilder()
    .setTitle('Dragonfly Manager')
    .setVersion(version)
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' })
    .addCookieAuth('jwt')
    .addSecurityRequirements('bearer')
    .build();
  const document = SwaggerModule.createDocument(app, frame, {
    operationIdFactory: (controller, method, apiVersion) => [controller, apiVersion, method].filter(Boolean).join('_'),
  });
  document.components = {
    ...document.components,
    schemas: {
      ...(bodySchemas() as NonNullable<OpenAPIObject['components']>['schemas']),
      Error: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
      Violation: {
        type: 'object',
        description: 'One line for each rule that is broken.',
        properties: { errors: { type: 'string' } },
        required: ['errors'],
      },
    },
  };
  document.components.responses = Object.fromEntries(
    Object.entries(SHARED_ANSWERS).map(([status, [description, schema]]) => [
      status,
      { description, content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } } },
    ]),
  );
  for (const path of Object.values(document.paths)) {
    for (const operation of [path.get, path.post, path.put, path.patch, path.delete]) {
      if (operation) {
        // Nest adds 200 or 201 by itself where a route does not say.
        delete operation.responses['201'];
        for (const status of Object.keys(SHARED_ANSWERS)) {
          operation.responses[status] ??= { $ref: `#/components/responses/${status}` };
        }
      }
    }
  }
  return document;
}
