/**
 * One file to several peers at once, and what it cost: `demo.mjs --work DIRECTORY [--source FILE|URL] [--host IP]` and peers:
 * `--dfget PATH --peer NAME=SOCKET [--peer NAME=SOCKET ...]` or `--container NAME=ID [--container NAME=ID ...]`.
 *
 * Exit status 0 only when every peer's file is right and the origin has sent each byte once.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFile, serveUrl } from './origin.mjs';
import { containerPeer, localPeer } from './peer-shell.mjs';

/** Name of the downloaded file at each peer. */
const OUTPUT = 'demo.bin';

/**
 * @typedef {import('./peer-shell.mjs').PeerShell} PeerShell
 * @typedef {{ peer: PeerShell, seconds: number, failure?: string }} Download
 */

const { values } = parseArgs({
  options: {
    dfget: { type: 'string' },
    work: { type: 'string' },
    host: { type: 'string' },
    source: { type: 'string' },
    peer: { type: 'string', multiple: true },
    container: { type: 'string', multiple: true },
  },
});
const { dfget = 'dfget', work, host } = values;
if (!work) throw new Error('the demo needs --work');

const directory = await mkdtemp(join(work, 'demo-'));
const peers = [
  ...named(values.peer).map(([name, socket]) => localPeer({ name, dfget, socket, directory })),
  ...named(values.container).map(([name, container]) => containerPeer({ name, container })),
];
try {
  process.exitCode = (await run(values.source || process.execPath)) ? 0 : 1;
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** @param {string[]} [options] each `NAME=VALUE` @returns {[string, string][]} */
function named(options = []) {
  return options.map((option) => {
    const at = option.indexOf('=');
    return [option.slice(0, at), option.slice(at + 1)];
  });
}

/** @param {string} source file or URL @returns {Promise<boolean>} whether all is as it should be */
async function run(source) {
  const isUrl = /^https?:\/\//.test(source);
  const origin = isUrl
    ? await serveUrl(source, { host, keepAt: join(directory, 'kept') })
    : await serveFile(await realpath(source), { host });
  try {
    const what = isUrl ? source : basename(source);
    console.log(
      `demo: ${what} from ${origin.url} to ${peers.length} ${peers.length === 1 ? 'peer' : 'peers'} at once\n`,
    );
    const downloads = await Promise.all(peers.map((peer) => download(peer, origin.url)));
    const { lengthBytes, sha256 } = await origin.content();
    const areAllRight = await report(downloads, lengthBytes, sha256);
    const ratio = (origin.bodyBytesSent() / lengthBytes).toFixed(2);
    console.log(
      `\norigin: ${grouped(origin.bodyBytesSent())} body bytes sent / ${grouped(lengthBytes)} bytes of the file = ${ratio}` +
        ` (${origin.requestCount()} requests)`,
    );
    if (ratio !== '1.00') console.error('demo: the origin should have sent every byte exactly once (1.00)');
    return areAllRight && ratio === '1.00';
  } finally {
    await origin.close();
  }
}

/** @param {PeerShell} peer @param {string} url @returns {Promise<Download>} */
async function download(peer, url) {
  const started = performance.now();
  const { status, text } = await peer.dfget(url, OUTPUT);
  const seconds = (performance.now() - started) / 1000;
  return { peer, seconds, ...(status !== 0 && { failure: `dfget ended with ${status}\n${text}` }) };
}

/**
 * Prints one line per peer and removes its file.
 * @param {Download[]} downloads @param {number} lengthBytes @param {string} sha256 what each file must have
 * @returns {Promise<boolean>} whether every file is right
 */
async function report(downloads, lengthBytes, sha256) {
  const width = Math.max(4, ...downloads.map(({ peer }) => peer.name.length));
  console.log(`${'PEER'.padEnd(width)}     TIME         RATE  SOURCE    SEED   PEERS   LOCAL  SHA256`);
  let areAllRight = true;
  for (const { peer, seconds, failure } of downloads) {
    if (failure) {
      areAllRight = false;
      console.log(`${peer.name.padEnd(width)}  failed: ${failure}`);
      continue;
    }
    const isRight = (await peer.sha256(OUTPUT)) === sha256;
    areAllRight &&= isRight;
    const { source, seed, peers: others, local } = await peer.traffic(OUTPUT);
    await peer.remove(OUTPUT);
    console.log(
      [
        peer.name.padEnd(width),
        `${seconds.toFixed(2)} s`.padStart(7),
        `${(lengthBytes / seconds / 1e6).toFixed(1)} MB/s`.padStart(11),
        ...[source, seed, others, local].map((bytes) => `${((100 * bytes) / lengthBytes).toFixed(0)} %`.padStart(6)),
        isRight ? 'ok' : 'WRONG',
      ].join('  '),
    );
  }
  return areAllRight;
}

/** @param {number} count @returns {string} with thousands separated */
function grouped(count) {
  return count.toLocaleString('en-US');
}
