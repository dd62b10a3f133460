/**
 * `pnpm simulate`: brings the build of the simulator and of what it runs up to date (a fraction of a second when it is), then
 * runs it in place of this process, so that its exit code and its signals are its own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const turbo = path.join(root, 'node_modules/.bin/turbo');
if (!existsSync(turbo)) {
  process.stderr.write('simulate: the packages are not installed; run: pnpm install, or ./run.sh\n');
  process.exit(1);
}
const built = spawnSync(turbo, ['run', 'build', '--filter=@dragonfly/simulate', '--output-logs=errors-only'], {
  cwd: root,
  encoding: 'utf8',
});
if (built.status !== 0) {
  process.stderr.write(`simulate: the build failed\n${built.stdout}${built.stderr}`);
  process.exit(1);
}
process.execve(
  process.execPath,
  [process.execPath, path.join(root, 'tools/simulate/dist/main.js'), ...process.argv.slice(2)],
  process.env,
);
