import { readFileSync } from 'node:fs';
import type { Description } from './described.js';
import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const COMMITTED = new URL('../../../docs/openapi.json', import.meta.url);

/** Routes whose answers are in their specs only; new ones are not to join them. */
const NOT_DESCRIBED_YET = /\/(jobs\/triggers|jobs\/hooks|preheats|_ping|[a-z-]+\/\{id\}\/bandwidth)(\/|$)/;

describe('API description', () => {
  let manager: RunningManager;
  let served: Description;

  beforeAll(async () => {
    const [engine] = engines;
    // With every part that can be switched on, as the committed file.
    const more = { security: { enable: true, joinPort: 0 } };
    manager = await RunningManager.start(engine ? await engine.freshDatabase() : {}, undefined, more);
    served = (await manager.request('GET', '/swagger/doc.json')).body as Description;
  });
  afterAll(() => manager.stop());

  it('is the committed docs/openapi.json (else: pnpm --filter @dragonfly/manager run openapi)', () => {
    expect(JSON.parse(readFileSync(COMMITTED, 'utf8'))).toEqual(served);
  });

  it('refers to nothing that is not there', () => {
    const text = JSON.stringify(served);
    const missing = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/([^"]+)"/g)].filter(
      ([, kind = '', name = '']) => !(served.components as Record<string, Record<string, unknown>>)[kind]?.[name],
    );
    expect(missing).toEqual([]);
  });

  it('bounds every list of every request', () => {
    const unbounded: string[] = [];
    const look = (schema: unknown, place: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      if ('type' in schema && schema.type === 'array' && !('maxItems' in schema)) unbounded.push(place);
      for (const [key, part] of Object.entries(schema)) look(part, key === 'properties' ? place : `${place}.${key}`);
    };
    for (const [path, methods] of Object.entries(served.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        look((operation as { requestBody?: unknown }).requestBody, `${method} ${path}`);
      }
    }
    expect(unbounded).toEqual([]);
  });

  it('describes the answer of every route', () => {
    const silent = Object.entries(served.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => !(operation.responses['200'] ?? operation.responses['302'])?.description)
        .map(([method]) => `${method} ${path}`)
        .filter((route) => !NOT_DESCRIBED_YET.test(route)),
    );
    expect(silent).toEqual([]);
  });
});
