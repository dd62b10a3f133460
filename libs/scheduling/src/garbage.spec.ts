import { asHostId, asPeerId, asTaskId } from '@dragonfly/ids';
import { findHostGarbage, findPeerGarbage, findTaskGarbage, type GarbageLimits } from './garbage.js';
import type { Peer } from './task.js';
import { Resources } from './resources.js';
import type { PeerEvent } from './states.js';

const LIMITS: GarbageLimits = { pieceDownloadTimeoutMs: 1_800_000, peerTtlMs: 86_400_000, hostTtlMs: 3_600_000 };
const FACTS = {
  isSeed: false,
  hostname: 'h',
  ip: '10.0.0.1',
  port: 4000,
  isSharingDisabled: false,
  idc: '',
  location: '',
  maxTxBitsPerSecond: 0,
};
const TASK = { url: 'http://a/', tag: '', application: '', digest: '', filteredQueryParams: [], requestHeader: {} };

let resources: Resources;

beforeEach(() => {
  resources = new Resources();
});

function host(name = 'h', facts: Partial<typeof FACTS> = {}, intervalMs = 0) {
  return resources.announceHost(asHostId(name), { ...FACTS, ...facts }, intervalMs, 0);
}

function peer(id: string, events: PeerEvent[], on = host()): Peer {
  const task = resources.getOrCreateTask(asTaskId('t'), TASK, 0);
  const made = resources.createPeer({ id: asPeerId(id), task, host: on }, 0);
  for (const event of events) made.apply(event, 0);
  return made;
}

const RUNNING: PeerEvent[] = ['RegisterNormal', 'Download'];
const DONE: PeerEvent[] = [...RUNNING, 'DownloadSucceeded'];

describe('peers', () => {
  it('that are marked Leave expire', () => {
    const gone = peer('a', ['Leave']);
    expect(findPeerGarbage(resources, LIMITS, 0)).toEqual({ expired: [gone], leaving: [] });
  });

  it.each([
    ['a failed peer', ['DownloadFailed'], 0, true],
    ['a running peer with a piece half an hour ago', RUNNING, 1_800_000, false],
    ['a running peer without a piece for longer', RUNNING, 1_800_001, true],
    ['a finished peer of a host that is silent for an hour', DONE, 3_600_000, false],
    ['a finished peer of a host that is silent for longer', DONE, 3_600_001, true],
  ] as const)('%s leaves: %p', (_name, events, nowMs, expected) => {
    const made = peer('a', [...events]);
    expect(findPeerGarbage(resources, LIMITS, nowMs).leaving).toEqual(expected ? [made] : []);
  });

  it('a peer whose stream broke before it had finished leaves after half an hour of silence', () => {
    const [cut, open] = [peer('a', ['RegisterNormal']), peer('b', ['RegisterNormal'])];
    cut.isAttached = false;
    expect(open.isAttached).toBe(true);
    expect(findPeerGarbage(resources, LIMITS, 1_800_000).leaving).toEqual([]);
    expect(findPeerGarbage(resources, LIMITS, 1_800_001).leaving).toEqual([cut]);
  });

  it('a finished peer of which nothing was heard for a day leaves although its host is there', () => {
    const made = peer('a', DONE);
    made.host.updatedAtMs = 86_400_001;
    expect(findPeerGarbage(resources, LIMITS, 86_400_001).leaving).toEqual([made]);
  });

  it('a peer of a host that does not share leaves when it has finished, not before', () => {
    const on = host('h', { isSharingDisabled: true });
    const [finished, busy, cut] = [peer('a', DONE, on), peer('b', RUNNING, on), peer('c', RUNNING, on)];
    cut.isAttached = false;
    expect(busy.isAttached).toBe(true);
    expect(findPeerGarbage(resources, LIMITS, 0).leaving).toEqual([finished, cut]);
  });

  it('a task with more than 300 peers gives up finished ones without edges, down to 300', () => {
    const peers = Array.from({ length: 303 }, (_, index) => peer(`p${index}`, DONE));
    const [parent, child] = peers;
    if (parent === undefined || child === undefined) throw new Error('peers were made');
    parent.task.attachToParents(child, [parent]);
    expect(findPeerGarbage(resources, LIMITS, 0).expired).toEqual(peers.slice(2, 5));
  });
});

it('tasks without peers are garbage', () => {
  const made = peer('a', DONE);
  expect(findTaskGarbage(resources)).toEqual([]);
  resources.removePeer(made);
  expect(findTaskGarbage(resources)).toEqual([made.task]);
});

it('hosts are garbage after two missed announcements; without an interval never', () => {
  const announced = host('a', {}, 300_000);
  host('b', {}, 0);
  expect(findHostGarbage(resources, 600_000)).toEqual([]);
  expect(findHostGarbage(resources, 600_001)).toEqual([announced]);
});

it('a host that announces itself again is brought up to date, ip and name included', () => {
  const first = host('a');
  const again = host('a', { ip: '10.0.0.9', hostname: 'renamed' });
  expect(again).toBe(first);
  expect(first.facts).toMatchObject({ ip: '10.0.0.9', hostname: 'renamed' });
});

it('a host that stops to share takes its peers off the list of parents', () => {
  const made = peer('a', DONE);
  made.task.contentLengthBytes = 1;
  made.task.refreshOfferable(made);
  expect(made.task.offerable).toEqual([made]);
  host('h', { isSharingDisabled: true });
  expect(made.task.offerable).toEqual([]);
});
