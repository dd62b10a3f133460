/**
 * Typed eslint over one list of patterns, in a process of its own: `node tools/lint/eslint.mjs [--fix] PATTERN ...`
 * from the root of the repository. The last line is `{ "files": number, "problems": number }`. See run.mjs.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';

const here = path.dirname(fileURLToPath(import.meta.url));
const fix = process.argv.includes('--fix');
const patterns = process.argv.slice(2).filter((argument) => argument !== '--fix');

const eslint = new ESLint({
  cwd: path.resolve(here, '../..'),
  overrideConfigFile: path.join(here, 'eslint.config.mjs'),
  fix,
  errorOnUnmatchedPattern: false,
});
const results = await eslint.lintFiles(patterns);
if (fix) await ESLint.outputFixes(results);
const formatter = await eslint.loadFormatter('stylish');
const report = await formatter.format(results);
if (report) console.log(report);
console.log(
  JSON.stringify({
    files: results.length,
    problems: results.reduce((sum, result) => sum + result.errorCount + result.warningCount, 0),
  }),
);
