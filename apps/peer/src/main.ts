import { readFileSync } from 'node:fs';
import { PEER_PROFILE } from '@dragonfly/peer-engine';
import { runDaemon } from '@dragonfly/peer-shell';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

runDaemon(PEER_PROFILE, {
  args: process.argv.slice(2),
  env: process.env,
  version,
  print: (text) => process.stdout.write(text),
  exit: (code) => process.exit(code),
  onStopSignal: (listener) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, () => listener(signal));
  },
}).then(
  (code) => {
    if (code !== undefined) process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`peer: ${Error.isError(error) ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
