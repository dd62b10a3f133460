/**
 * Lints the repository, or the folders given: typed eslint, then the import rules.
 *
 *   node tools/lint/run.mjs [FOLDER ...] [--fix]
 *
 * Exits 1 when anything was found. The last lines say how many files each check saw.
 *
 * Typed lint keeps the whole program of each package it has seen in memory, so that one process for the repository
 * outgrows the heap of Node (4 GB). Each package is therefore linted by a process of its own, one for each core at a time.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, format } from 'dependency-cruiser';

/** More processes at once would only fight for memory. */
const MAX_PROCESSES = 4;
/** Of what one package's lint may print. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
process.chdir(root);

const argv = process.argv.slice(2);
const fix = argv.includes('--fix');
const named = argv.filter((argument) => !argument.startsWith('--')).map((folder) => folder.replace(/\/$/, ''));
const targets = (named.length > 0 ? named : ['apps', 'libs', 'test', 'bench', 'tools/simulate']).filter((target) =>
  existsSync(target),
);

/** The packages below a folder that holds several of them, or the folder or file itself. */
function packagesOf(target) {
  if (!['apps', 'libs', 'test'].includes(target)) return [target];
  return readdirSync(target, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.name.endsWith('.ts'))
    .map((entry) => path.join(target, entry.name));
}

/** Lints one package; a process that dies, or prints no count, counts as a problem. */
function lintPackage(target) {
  const pattern = target.endsWith('.ts') ? target : `${target}/**/*.ts`;
  const args = [path.join(here, 'eslint.mjs'), ...(fix ? ['--fix'] : []), pattern];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      const lines = stdout.trimEnd().split('\n');
      if (error) {
        resolve({ files: 0, problems: 1, text: `${target}: the linter failed: ${error.message}\n${stdout}${stderr}` });
        return;
      }
      const { files, problems } = JSON.parse(lines.pop());
      resolve({ files, problems, text: lines.join('\n') });
    });
  });
}

const waiting = targets.flatMap(packagesOf);
const total = { files: 0, problems: 0 };
async function work() {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { files, problems, text } = await lintPackage(next);
    if (text) console.log(text);
    total.files += files;
    total.problems += problems;
  }
}
await Promise.all(Array.from({ length: Math.min(MAX_PROCESSES, availableParallelism()) }, work));
console.log(`eslint: ${total.files} files, ${total.problems} problems`);

const rules = createRequire(import.meta.url)('./dependency-rules.cjs');
const cruised = await cruise(targets, { ruleSet: { forbidden: rules.forbidden }, validate: true, ...rules.options });
const violations = cruised.output.summary.violations.filter((violation) => violation.rule.severity === 'error');
if (violations.length > 0) console.log((await format(cruised.output, { outputType: 'err' })).output);
console.log(`import rules: ${cruised.output.summary.totalCruised} modules, ${violations.length} problems`);

process.exitCode = total.problems + violations.length > 0 ? 1 : 0;
