/**
 * Runs the checks and tests of the repository and counts them; `test.sh` calls it after the build. Options: see test.sh --help.
 *
 * One line per step while all is well; the whole output of a step that fails. The last line is
 * `N passed, N failed, N skipped`: each static check counts one, each test of each package counts one.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { staticChecks } from './static-checks.mjs';
import { runInPool, runStep } from './steps.mjs';
import { packagesWithTests, runPackageTests } from './packages.mjs';

/** Packages whose tests run side by side: two processes keep a small machine busy without starving either. */
const CONCURRENT_PACKAGES = 2;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    'no-e2e': { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    compat: { type: 'string' },
  },
});

/** What tests read to know which of them are wanted. */
const environment = {
  ...process.env,
  ...(options.long && { DRAGONFLY_TEST_LONG: '1' }),
  ...(options.compat !== undefined && { DRAGONFLY_REAL_BIN: resolve(options.compat) }),
};

const totals = { passed: 0, failed: 0, skipped: 0 };
/** @param {{ passed: number, failed: number, skipped: number }} result */
function add({ passed, failed, skipped }) {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
}

const packages = packagesWithTests();
const wanted = options.only?.map((name) => name.replace(/^@dragonfly\//, ''));
const unknown = wanted?.filter((name) => !packages.some((candidate) => candidate.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(
    `no package with tests is called ${unknown.join(', ')}; there are: ${packages.map(({ name }) => name).join(', ')}`,
  );
  add({ passed: 0, failed: unknown.length, skipped: 0 });
} else {
  if (!wanted) for (const check of staticChecks()) add(await runStep(check, environment));
  const chosen = packages.filter(({ name, isEndToEnd }) => {
    if (wanted) return wanted.includes(name);
    return !(isEndToEnd && options['no-e2e']);
  });
  const inside = chosen.filter(({ isEndToEnd, isCompat }) => !isEndToEnd && !isCompat);
  await runInPool(inside, CONCURRENT_PACKAGES, async (one) => add(await runPackageTests(one, environment)));
  // Whole clusters: one after the other, with the machine to themselves.
  for (const one of chosen.filter((candidate) => !inside.includes(candidate)))
    add(await runPackageTests(one, environment));
}

if (
  !options.long &&
  packages.some(({ name }) => name === 'chaos') &&
  !options['no-e2e'] &&
  !(wanted && !wanted.includes('chaos'))
) {
  console.log(
    'shortened: the leak test of chaos (200 downloads and 100 reconnects instead of 2,000 and 1,000) and its crowd at the origin (24 daemons instead of 64): ./test.sh --long',
  );
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed === 0 ? 0 : 1;
