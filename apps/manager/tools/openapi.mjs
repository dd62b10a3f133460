#!/usr/bin/env node
// Writes docs/openapi.json from the code (of dist), or says with --check whether it is fresh.
import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { silentLogger } from '@dragonfly/telemetry';
import { format } from 'prettier';
import { loadManagerSettings } from '../dist/config/settings.js';
import { startManager } from '../dist/manager-app.js';

const FILE = new URL('../../../docs/openapi.json', import.meta.url);

const directory = mkdtempSync(join(tmpdir(), 'openapi-'));
const config = join(directory, 'manager.yaml');
writeFileSync(
  config,
  JSON.stringify({
    server: { workHome: directory, grpc: { listenIP: '127.0.0.1', port: { start: 0 } }, rest: { addr: '127.0.0.1:0' } },
    // With every part that can be switched on: their routes are described too.
    security: { enable: true, joinPort: 0 },
  }),
);
const app = await startManager({ settings: loadManagerSettings({ file: config, env: {} }), log: silentLogger() });
try {
  const description = await (await fetch(`http://127.0.0.1:${app.restPort}/swagger/doc.json`)).json();
  if (!process.argv.includes('--check')) {
    writeFileSync(FILE, await format(JSON.stringify(description), { parser: 'json', printWidth: 120 }));
  } else if (!isDeepStrictEqual(JSON.parse(readFileSync(FILE, 'utf8')), description)) {
    console.error('docs/openapi.json is not what the code says: run pnpm --filter @dragonfly/manager run openapi');
    process.exitCode = 1;
  }
} finally {
  await app.stop();
  rmSync(directory, { recursive: true });
}
