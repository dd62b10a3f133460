/**
 * Checks proto/ with buf, offline: formatting, lint rules (buf.yaml), and that nothing on the wire has changed since
 * proto/baseline.binpb.
 *
 *   node scripts/lint.mjs             checks
 *   node scripts/lint.mjs --baseline  makes the present state the baseline, after an addition
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const packageDirectory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const rootDirectory = path.resolve(packageDirectory, '../..');
const bufScript = path.join(packageDirectory, 'node_modules/@bufbuild/buf/bin/buf');
const baseline = 'proto/baseline.binpb';

/**
 * @param {string[]} args
 * @returns {boolean} whether buf is content
 */
function buf(...args) {
  const { status } = spawnSync(process.execPath, [bufScript, ...args], { cwd: rootDirectory, stdio: 'inherit' });
  return status === 0;
}

const results = process.argv.includes('--baseline')
  ? [buf('build', '--exclude-source-info', '-o', baseline)]
  : [buf('format', '--diff', '--exit-code'), buf('lint'), buf('breaking', '--against', baseline)];
process.exitCode = results.every(Boolean) ? 0 : 1;
