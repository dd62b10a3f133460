/**
 * The checks that look at files instead of running the programs.
 */
import { execFileSync } from 'node:child_process';

/** @returns {import('./steps.mjs').Step[]} in the order in which they are run */
export function staticChecks() {
  return [
    { name: 'format', command: ['pnpm', 'exec', 'prettier', '--check', '--log-level=warn', '.'] },
    { name: 'lint', command: ['node', 'tools/lint/run.mjs'] },
    shellCheck(),
    { name: 'wire definitions: lint, nothing breaking', command: proto('lint:proto') },
    { name: 'wire definitions: generated code is fresh', command: proto('check:generated') },
    { name: 'types', command: ['pnpm', 'exec', 'turbo', 'run', 'typecheck', '--output-logs=errors-only'] },
  ];
}

/** @param {string} script of the package `proto` */
function proto(script) {
  return ['pnpm', '--filter', '@dragonfly/proto', 'run', script];
}

/** @returns {import('./steps.mjs').Step} */
function shellCheck() {
  const files = execFileSync('git', ['ls-files', '*.sh', '.ci/run', 'bin/*'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
  const name = 'shell scripts';
  try {
    execFileSync('shellcheck', ['--version'], { stdio: 'ignore' });
  } catch {
    return { name, command: [], skipReason: 'shellcheck is not installed' };
  }
  return { name, command: ['shellcheck', '--external-sources', ...files] };
}
