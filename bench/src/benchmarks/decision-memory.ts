/**
 * Prints what 10,000 finished peers cost, each on a host of its own, in MiB of heap and buffers. Started by `decision.ts`
 * with the number of pieces that each has reported.
 */
import { asHostId, asPeerId, asTaskId } from '@dragonfly/ids';
import { Resources } from '@dragonfly/scheduling';

const PEERS = 10_000;
const TASKS = 10;
const MIB = 1024 ** 2;
const pieces = Number(process.argv[2] ?? 0);
const now = Date.now();

function used(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const before = used();
const resources = new Resources();
for (let index = 0; index < PEERS; index += 1) {
  const ip = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  const host = resources.announceHost(
    asHostId(`${ip}-host-${index}`),
    {
      isSeed: false,
      hostname: `host-${index}`,
      ip,
      port: 4000,
      isSharingDisabled: false,
      idc: `idc-${index % 5}`,
      location: `region-${index % 2}|idc-${index % 5}|rack-${index % 40}`,
      maxTxBitsPerSecond: 1e9,
    },
    300_000,
    now,
  );
  const task = resources.getOrCreateTask(
    asTaskId(`task-${index % TASKS}`),
    { url: 'http://origin/file', tag: '', application: '', digest: '', filteredQueryParams: [], requestHeader: {} },
    now,
  );
  task.contentLengthBytes = pieces * 4 * MIB;
  const peer = resources.createPeer(
    { id: asPeerId(`${ip}-host-${index}-0a1b2c3d-0000-4000-8000-${index}`), task, host },
    now,
  );
  peer.apply('RegisterNormal', now);
  peer.apply('Download', now);
  for (let piece = 0; piece < pieces; piece += 1) {
    peer.pieces.add(piece);
    peer.costs.add(20 + (piece % 7));
  }
  peer.apply('DownloadSucceeded', now);
  task.refreshOfferable(peer);
}
const after = used();
process.stdout.write(`${((after - before) / MIB).toFixed(2)}\n`);
// Kept until here: what is not needed any more would be collected before it is measured.
if (resources.peers.size !== PEERS) process.exitCode = 1;
