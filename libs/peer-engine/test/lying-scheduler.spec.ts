import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import { commonV2, type DeepPartial } from '@dragonfly/proto';
import { Content, CountingOrigin, tempDir, type TempDir } from '@dragonfly/testkit';
import { TestDaemon } from './test-daemon.js';
import { backToSource, TestScheduler, type Answer } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const CONTENT = new Content(9 * MIB);

let dir: TempDir;
let origin: CountingOrigin;
let scheduler: TestScheduler;
let child: TestDaemon | undefined;

beforeEach(async () => {
  dir = tempDir('peer');
  origin = await CountingOrigin.start();
  scheduler = await TestScheduler.start();
  child = undefined;
});

afterEach(async () => {
  await child?.stop();
  await scheduler.stop();
  await origin.close();
  dir.remove();
});

/** A candidate of whom nothing is true. */
function candidate(name: string, host: DeepPartial<commonV2.Host> | undefined, task = {}): commonV2.Peer {
  const now = new Date();
  return commonV2.Peer.fromPartial({
    id: `127.0.0.1-${name}-peer`,
    state: 'Running',
    ...(host === undefined ? {} : { host: { id: `127.0.0.1-${name}`, hostname: name, ...host } }),
    task: { id: 'task', url: 'http://origin/', state: 'Running', createdAt: now, updatedAt: now, ...task },
    cost: {},
    createdAt: now,
    updatedAt: now,
  });
}

function normal(...candidateParents: commonV2.Peer[]): Answer {
  return { $case: 'normalTaskResponse', value: { candidateParents } };
}

const dead = (name: string): commonV2.Peer => candidate(name, { ip: '127.0.0.1', port: 1, downloadPort: 1 });

/** Answers a scheduler never gives; the download is right all the same, or fails with words. */
const LIES: readonly [string, (child: TestDaemon) => Answer][] = [
  ['the peer itself', (own) => normal(scheduler.candidate({ ...lastPeer(), hostId: own.hostId }))],
  ['a candidate without a host', () => normal(candidate('none', undefined))],
  ['a candidate without an address', () => normal(candidate('empty', { ip: '', port: 0, downloadPort: 0 }))],
  ['an address that is none', () => normal(candidate('words', { ip: 'no address:/@', port: 4000 }))],
  ['a port that is none', () => normal(candidate('port', { ip: '127.0.0.1', port: 2 ** 31 - 1 }))],
  ['a negative port', () => normal(candidate('negative', { ip: '127.0.0.1', port: -1 }))],
  ['a thousand dead candidates', () => normal(...Array.from({ length: 1000 }, (_, index) => dead(`dead-${index}`)))],
  ['one candidate a hundred times', () => normal(...Array.from({ length: 100 }, () => dead('dead')))],
  ['nobody at all', () => normal()],
  ['that the content is empty', () => ({ $case: 'emptyTaskResponse', value: {} })],
  [
    'a length beyond everything',
    () => normal(candidate('long', { ip: '127.0.0.1', port: 1 }, { contentLength: 2n ** 53n - 1n })),
  ],
  ['a length that is another', () => normal(candidate('short', { ip: '127.0.0.1', port: 1 }, { contentLength: 5n }))],
  ['what was not asked for', () => ({ $case: 'metadataOnlyResponse', value: {} })],
];

function lastPeer(): TestScheduler['peers'][number] {
  const peer = scheduler.peers.at(-1);
  if (peer === undefined) throw new Error('nobody has registered');
  return peer;
}

describe.each([false, true])('a scheduler that lies (content of unknown length: %s)', (unknownLength) => {
  it.each(LIES)('and names %s does not spoil the content', async (_what, lie) => {
    const url = origin.put('/file', { content: CONTENT, unknownLength, ...(unknownLength ? { ranges: false } : {}) });
    const started = await TestDaemon.start({ dir, name: 'child', schedulers: [scheduler.address] });
    child = started;
    let hasLied = false;
    scheduler.policy = () => {
      if (hasLied) return backToSource();
      hasLied = true;
      return lie(started);
    };
    await started.get({ url, output: dir.file('out') });
    const hash = createHash('sha256').update(await readFile(dir.file('out')));
    expect(hash.digest('hex')).toBe(CONTENT.sha256());
  });
});
