/**
 * Lints the repository, or the folders given: typed eslint, then the import rules.
 *
 *   node tools/lint/run.mjs [FOLDER ...] [--fix]
 *
 * Exits 1 when anything was found. The last lines say how many files each check saw.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { cruise, format } from 'dependency-cruiser';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
process.chdir(root);

const argv = process.argv.slice(2);
const fix = argv.includes('--fix');
const folders = argv.filter((argument) => !argument.startsWith('--'));
const targets = (folders.length > 0 ? folders : ['apps', 'libs', 'test', 'bench']).filter((target) =>
  existsSync(target),
);

const eslint = new ESLint({
  cwd: root,
  overrideConfigFile: path.join(here, 'eslint.config.mjs'),
  fix,
  errorOnUnmatchedPattern: false,
});
const results = await eslint.lintFiles(
  targets.map((target) => (target.endsWith('.ts') ? target : `${target}/**/*.ts`)),
);
if (fix) await ESLint.outputFixes(results);
const formatter = await eslint.loadFormatter('stylish');
const report = await formatter.format(results);
if (report) console.log(report);
const problems = results.reduce((sum, result) => sum + result.errorCount + result.warningCount, 0);
console.log(`eslint: ${results.length} files, ${problems} problems`);

const rules = createRequire(import.meta.url)('./dependency-rules.cjs');
const cruised = await cruise(
  targets.map((target) => target.replace(/\/$/, '')),
  { ruleSet: { forbidden: rules.forbidden }, validate: true, ...rules.options },
);
const violations = cruised.output.summary.violations.filter((violation) => violation.rule.severity === 'error');
if (violations.length > 0) console.log((await format(cruised.output, { outputType: 'err' })).output);
console.log(`import rules: ${cruised.output.summary.totalCruised} modules, ${violations.length} problems`);

process.exitCode = problems + violations.length > 0 ? 1 : 0;
