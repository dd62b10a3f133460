/**
 * One file to several peers at once, and what it cost: `demo.mjs --dfget PATH --work DIRECTORY [--source FILE|URL]
 * --peer NAME=SOCKET [--peer NAME=SOCKET ...]`.
 *
 * Exit status 0 only when every peer's file is right and the origin has sent each byte once.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFile, serveUrl, sha256OfFile } from './origin.mjs';

const DOWNLOAD_TIMEOUT_MS = 30 * 60_000;

/**
 * @typedef {{ name: string, socket: string }} Peer
 * @typedef {{ source: number, seed: number, peers: number, local: number }} Traffic bytes by where they came from
 * @typedef {{ peer: Peer, output: string, seconds: number, failure?: string, traffic?: Traffic }} Download
 */

const { values } = parseArgs({
  options: {
    dfget: { type: 'string' },
    work: { type: 'string' },
    host: { type: 'string' },
    source: { type: 'string' },
    peer: { type: 'string', multiple: true },
  },
});
const { dfget, work, host, peer: peerArguments = [] } = values;
if (!dfget || !work || peerArguments.length === 0) throw new Error('the demo needs --dfget, --work and at least one --peer');
const peers = peerArguments.map((argument) => {
  const [name, socket] = argument.split(/=(.*)/s);
  return { name, socket };
});

const directory = await mkdtemp(join(work, 'demo-'));
try {
  process.exitCode = (await run(values.source || process.execPath)) ? 0 : 1;
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** @param {string} source file or URL @returns {Promise<boolean>} whether all is as it should be */
async function run(source) {
  const isUrl = /^https?:\/\//.test(source);
  const origin = isUrl
    ? await serveUrl(source, { host, keepAt: join(directory, 'kept') })
    : await serveFile(await realpath(source), { host });
  try {
    const what = isUrl ? source : basename(source);
    console.log(`demo: ${what} from ${origin.url} to ${peers.length} ${peers.length === 1 ? 'peer' : 'peers'} at once\n`);
    const downloads = await Promise.all(peers.map((peer) => download(peer, origin.url)));
    const { lengthBytes, sha256 } = await origin.content();
    const allRight = await report(downloads, lengthBytes, sha256);
    const ratio = (origin.bodyBytesSent() / lengthBytes).toFixed(2);
    console.log(
      `\norigin: ${grouped(origin.bodyBytesSent())} body bytes sent / ${grouped(lengthBytes)} bytes of the file = ${ratio}` +
        ` (${origin.requestCount()} requests)`,
    );
    if (ratio !== '1.00') console.error('demo: the origin should have sent every byte exactly once (1.00)');
    return allRight && ratio === '1.00';
  } finally {
    await origin.close();
  }
}

/** @param {Peer} peer @param {string} url @returns {Promise<Download>} */
async function download(peer, url) {
  const output = join(directory, `${peer.name}.out`);
  const reportFile = join(directory, `${peer.name}.json`);
  const started = performance.now();
  const { status, text } = await new Promise((resolve) => {
    const child = spawn(dfget, [`-u=${url}`, '-O', output, '--endpoint', peer.socket, '--report', reportFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: DOWNLOAD_TIMEOUT_MS,
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
    child.once('error', (error) => resolve({ status: error.message, text }));
    child.once('close', (code, signal) => resolve({ status: signal ?? code, text }));
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) return { peer, output, seconds, failure: `dfget ended with ${status}\n${text.trimEnd()}` };
  const { traffic } = JSON.parse(await readFile(reportFile, 'utf8'));
  return { peer, output, seconds, traffic };
}

/**
 * Prints one line per peer.
 * @param {Download[]} downloads @param {number} lengthBytes @param {string} sha256 what each file must have
 * @returns {Promise<boolean>} whether every file is right
 */
async function report(downloads, lengthBytes, sha256) {
  const width = Math.max(4, ...downloads.map(({ peer }) => peer.name.length));
  console.log(`${'PEER'.padEnd(width)}     TIME         RATE  SOURCE    SEED   PEERS   LOCAL  SHA256`);
  let allRight = true;
  for (const { peer, output, seconds, failure, traffic } of downloads) {
    if (!traffic) {
      allRight = false;
      console.log(`${peer.name.padEnd(width)}  failed: ${failure}`);
      continue;
    }
    const isRight = (await sha256OfFile(output)) === sha256;
    allRight &&= isRight;
    const share = (/** @type {number} */ bytes) => `${((100 * bytes) / lengthBytes).toFixed(0)} %`.padStart(6);
    console.log(
      [
        peer.name.padEnd(width),
        `${seconds.toFixed(2)} s`.padStart(7),
        `${(lengthBytes / seconds / 1e6).toFixed(1)} MB/s`.padStart(11),
        share(traffic.source),
        share(traffic.seed),
        share(traffic.peers),
        share(traffic.local),
        isRight ? 'ok' : 'WRONG',
      ].join('  '),
    );
  }
  return allRight;
}

/** @param {number} count @returns {string} with thousands separated */
function grouped(count) {
  return count.toLocaleString('en-US');
}
