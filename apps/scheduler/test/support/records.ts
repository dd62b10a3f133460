import type { DownloadRecord } from '../../src/records/download-record.js';

/** A record of a download from a peer. */
export function aRecord(endedAtMs: number, changes: Partial<DownloadRecord> = {}): DownloadRecord {
  return {
    endedAtMs,
    startedAtMs: endedAtMs - 100,
    taskId: 'task',
    peerId: `peer-${endedAtMs}`,
    hostId: 'host',
    hostname: 'host',
    ip: '127.0.0.1',
    idc: 'dc1',
    isSeed: false,
    taskType: 'STANDARD',
    url: 'http://origin.example/file',
    application: 'app',
    tag: '',
    result: 'succeeded',
    description: '',
    contentLengthBytes: 1000,
    sourceBytes: 0,
    peerBytes: 1000,
    seedBytes: 0,
    localBytes: 0,
    crossIdcBytes: 0,
    pieceFailures: 0,
    strategy: 'default',
    parents: [{ peerId: 'parent', hostId: 'other', bytes: 1000, pieces: 1, failures: 0 }],
    ...changes,
  };
}
