import { runCommand } from '@dragonfly/testkit';

/** Images that docker-compose.yaml and deploy/docker/Dockerfile begin with. */
const BASE_IMAGES = ['node:24-bookworm-slim', 'mariadb:10.11', 'redis:7'];

/**
 * Why container tests cannot run here.
 * @returns undefined when they can: an engine answers, compose is installed and the base images are there
 */
export async function whyNoContainers(): Promise<string | undefined> {
  try {
    const engine = await runCommand('docker', ['info', '--format', '{{.ServerVersion}}']);
    if (engine.status !== 0) return 'no Docker engine answers';
    if ((await runCommand('docker', ['compose', 'version'])).status !== 0) return 'the compose plugin is not installed';
    for (const image of BASE_IMAGES) {
      const found = await runCommand('docker', ['image', 'inspect', '--format', '{{.Id}}', image]);
      if (found.status !== 0) return `the image ${image} is not there (docker pull ${image})`;
    }
    return undefined;
  } catch (error) {
    return `docker is not installed (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Output of a docker command that must succeed, without the line end. */
export async function docker(...args: string[]): Promise<string> {
  const ended = await runCommand('docker', args);
  if (ended.status !== 0) throw new Error(`docker ${args.join(' ')} ended with ${ended.status}: ${ended.stderr}`);
  return ended.stdout.trim();
}
