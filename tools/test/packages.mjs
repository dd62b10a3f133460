/**
 * The tests of the workspace's packages: which there are, and one run of each with its counts.
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { endOf, runCommand } from './steps.mjs';

const RESULTS_DIRECTORY = resolve('test-results');
/** Longer than any package's tests may take, also the end-to-end ones on a slow machine. */
const PACKAGE_TIMEOUT_MS = 20 * 60_000;
/** Packages that start whole clusters of processes. */
const WHOLE_CLUSTERS = [join('test', 'e2e'), join('test', 'chaos')];
/** What jest says when tests have left something open that keeps its process; a failure of its own. */
const JEST_HANGS = /Jest did not exit one second after/;

/**
 * @typedef {{ name: string, directory: string, isEndToEnd: boolean, isCompat: boolean }} TestedPackage
 * `isEndToEnd`: starts whole clusters; `isCompat`: needs the programs of the original
 */

/** @returns {TestedPackage[]} every package that has a spec file */
export function packagesWithTests() {
  return globSync('{libs,apps,tools,test}/*/package.json')
    .map((file) => dirname(file))
    .filter((directory) => globSync(`${directory}/{src,test}/**/*.spec.ts`).length > 0)
    .sort(byLayer)
    .map((directory) => ({
      name: basename(directory),
      directory,
      isEndToEnd: WHOLE_CLUSTERS.includes(directory),
      isCompat: directory === join('test', 'compat'),
    }));
}

/** Libraries before what is made of them: the first failure is then the nearest to its cause. */
function byLayer(/** @type {string} */ a, /** @type {string} */ b) {
  const layer = (/** @type {string} */ directory) =>
    ['libs', 'tools', 'apps', 'test'].indexOf(directory.split('/')[0] ?? '');
  return layer(a) - layer(b) || a.localeCompare(b);
}

/**
 * Runs one package's jest and prints one line, the failures in full and why tests were skipped.
 * @param {TestedPackage} one @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<import('./steps.mjs').Counts>}
 */
export async function runPackageTests({ name, directory }, environment) {
  mkdirSync(RESULTS_DIRECTORY, { recursive: true });
  const file = join(RESULTS_DIRECTORY, `${directory.replaceAll('/', '-')}.json`);
  rmSync(file, { force: true });
  const command = ['pnpm', '--dir', directory, 'run', 'test', '--json', `--outputFile=${file}`, '--maxWorkers=1'];
  const options = { environment, timeoutMs: PACKAGE_TIMEOUT_MS, hangs: JEST_HANGS };
  const { status, output, seconds } = await runCommand(command, options);
  if (!existsSync(file)) {
    console.log(`${name}: FAILED, jest left no result (${status})\n${endOf(output)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const result = JSON.parse(readFileSync(file, 'utf8'));
  const suitesThatDidNotRun = result.numRuntimeErrorTestSuites;
  const counts = {
    passed: result.numPassedTests,
    // A suite that could not be loaded has no tests to count, and a run may fail beside its tests (an open handle, say).
    failed: result.numFailedTests + suitesThatDidNotRun || (status === 0 ? 0 : 1),
    skipped: result.numPendingTests + result.numTodoTests,
  };
  const summary = `${counts.passed} passed${counts.failed ? `, ${counts.failed} FAILED` : ''}${counts.skipped ? `, ${counts.skipped} skipped` : ''}`;
  console.log(`${name}: ${summary} (${seconds.toFixed(1)} s)`);
  if (counts.skipped > 0) printSkips(result, output);
  if (counts.failed > 0) printFailures(result, output);
  return counts;
}

/** @param {any} result of jest @param {string} output */
function printSkips(result, output) {
  // A suite that leaves tests out prints `skip: <reason>`; jest shows what is printed through console indented.
  const reasons = new Set([...output.matchAll(/^\s*(skip: .*)$/gm)].map(([, reason]) => reason));
  for (const reason of reasons) console.log(`  ${reason}`);
  const names = testsOf(result)
    .filter(({ status }) => status === 'pending' || status === 'todo')
    .map(({ fullName }) => fullName);
  if (reasons.size === 0) for (const name of names) console.log(`  skipped without a reason: ${name}`);
}

/** @param {any} result @param {string} output */
function printFailures(result, output) {
  const messages = [
    ...result.testResults.filter(
      (/** @type {any} */ suite) => suite.status === 'failed' && suite.assertionResults.length === 0,
    ),
    ...testsOf(result).filter(({ status }) => status === 'failed'),
  ].map((one) => `${one.fullName ?? one.name}\n${one.message ?? one.failureMessages.join('\n')}`);
  console.log(messages.length > 0 ? endOf(messages.join('\n\n')) : endOf(output));
}

/** @param {any} result @returns {{ status: string, fullName: string, failureMessages: string[] }[]} */
function testsOf(result) {
  return result.testResults.flatMap((/** @type {any} */ suite) => suite.assertionResults);
}
