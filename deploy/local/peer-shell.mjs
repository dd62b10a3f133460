/**
 * How run.sh's checks use dfget at a peer, be it a process of this machine or a container.
 */
import { execFile, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256OfFile } from './origin.mjs';

const run = promisify(execFile);

/** Longer than any download that the checks make may take. */
const DOWNLOAD_TIMEOUT_MS = 30 * 60_000;

/**
 * @typedef {{ source: number, seed: number, peers: number, local: number }} Traffic bytes by where they came from
 * @typedef {{ status: number | string, text: string }} Ended exit status, or what ended it otherwise; its output unless shown
 * @typedef {object} PeerShell
 * @property {string} name
 * @property {(url: string, output: string, options?: { isShown?: boolean }) => Promise<Ended>} dfget runs `dfget -u=URL -O OUTPUT`
 * @property {(output: string) => Promise<string>} sha256 of a downloaded file, in hex
 * @property {(output: string) => Promise<Traffic>} traffic of that download
 * @property {(output: string) => Promise<void>} remove the file and what belongs to it
 */

/**
 * A peer of this machine.
 * @param {{ name: string, dfget: string, socket: string, directory: string }} options `directory` takes the files
 * @returns {PeerShell}
 */
export function localPeer({ name, dfget, socket, directory }) {
  const pathOf = (/** @type {string} */ output) => join(directory, `${name}-${output}`);
  return {
    name,
    dfget: (url, output, options) =>
      ended(
        dfget,
        [`-u=${url}`, '-O', pathOf(output), '--endpoint', socket, '--report', `${pathOf(output)}.json`],
        options,
      ),
    sha256: (output) => sha256OfFile(pathOf(output)),
    traffic: async (output) => JSON.parse(await readFile(`${pathOf(output)}.json`, 'utf8')).traffic,
    async remove(output) {
      await rm(pathOf(output), { force: true });
      await rm(`${pathOf(output)}.json`, { force: true });
    },
  };
}

/**
 * A peer in a container; files lie in its working directory, beside its store.
 * @param {{ name: string, container: string }} options
 * @returns {PeerShell}
 */
export function containerPeer({ name, container }) {
  const inside = (/** @type {string[]} */ ...command) =>
    run('docker', ['exec', container, ...command]).then(({ stdout }) => stdout);
  return {
    name,
    dfget: (url, output, options) =>
      ended('docker', ['exec', container, 'dfget', `-u=${url}`, '-O', output, '--report', `${output}.json`], options),
    sha256: async (output) => (await inside('sha256sum', output)).slice(0, 64),
    traffic: async (output) => JSON.parse(await inside('cat', `${output}.json`)).traffic,
    remove: async (output) => void (await inside('rm', '-f', output, `${output}.json`)),
  };
}

/** @param {string} command @param {string[]} args @param {{ isShown?: boolean }} [options] @returns {Promise<Ended>} */
function ended(command, args, { isShown = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: isShown ? 'inherit' : ['ignore', 'pipe', 'pipe'],
      timeout: DOWNLOAD_TIMEOUT_MS,
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
    child.once('error', (error) => resolve({ status: error.message, text }));
    child.once('close', (code, signal) => resolve({ status: signal ?? code ?? 'unknown', text: text.trimEnd() }));
  });
}
