import { ScalarType } from '@bufbuild/protobuf';
import { descriptors } from './descriptors.js';
import { commonV2, dfdaemonV2, errordetailsV2, managerV2, schedulerV2 } from './index.js';
import { validationRules } from './rules/index.js';
import type { FieldRules } from './rules/rule-table.js';
import { hasRules, validateMessage } from './validate.js';

const MIB = 1024n * 1024n;
const now = new Date(0);
const zero = { seconds: 0n, nanos: 0 };

const aHost = (change: object = {}): object => ({
  id: 'h',
  hostname: 'n',
  ip: '10.0.0.1',
  port: 8000,
  downloadPort: 8001,
  ...change,
});
const aPiece = (change: object = {}): object => ({ cost: zero, createdAt: now, ...change });
const aTask = (change: object = {}): object => ({
  id: 't',
  url: 'http://o/f',
  state: 'Running',
  createdAt: now,
  updatedAt: now,
  ...change,
});
const aPeer = (change: object = {}): object => ({
  id: 'p',
  state: 'Running',
  cost: zero,
  task: aTask(),
  host: aHost(),
  createdAt: now,
  updatedAt: now,
  ...change,
});
const announce = (request: object): object => ({ hostId: 'h', taskId: 't', peerId: 'p', request });
const register = (download: object): object =>
  announce({ $case: 'registerPeerRequest', value: { download: { url: 'http://o/f', ...download } } });

interface PartialType {
  fromPartial(object: object): unknown;
}
const modules: Record<string, object> = { commonV2, dfdaemonV2, errordetailsV2, managerV2, schedulerV2 };

/** Violation of a message given by its short package and name, e.g. `scheduler.AnnouncePeerRequest`. */
function violationOf(name: string, partial: object): string | undefined {
  const [packageName = '', message = ''] = name.split('.');
  const type = (modules[`${packageName}V2`] as Record<string, PartialType>)[message];
  if (type === undefined) throw new Error(`no ${name}`);
  return validateMessage(`${packageName}.v2.${message}`, type.fromPartial(partial));
}

const AN = 'scheduler.AnnouncePeerRequest';
const HOST = 'common.Host';
const UPLOAD = 'scheduler.UploadPersistentTaskStartedRequest';
const upload = (ttl: object | undefined): object => ({
  hostId: 'h',
  taskId: 't',
  peerId: 'p',
  url: 's3://b/k',
  objectStorage: {},
  persistentReplicaCount: 1n,
  ttl,
});
const manager = (change: object): object => ({ sourceType: 0, hostname: 'h', ip: '10.0.0.1', ...change });
const seed = (change: object): object =>
  manager({ type: 'super', port: 8000, downloadPort: 8001, seedPeerClusterId: 1n, ...change });

describe('accepts', () => {
  it.each<[name: string, message: object]>([
    [HOST, aHost()],
    [HOST, aHost({ port: 1024, downloadPort: 65534, ip: '2001:db8::1', type: 3 })],
    [HOST, aHost({ cpu: { percent: NaN, times: {} }, memory: { usedPercent: 100 } })],
    ['common.Peer', aPeer()],
    ['common.Peer', aPeer({ pieces: [aPiece()], range: {} })],
    [AN, register({})],
    [AN, register({ digest: `sha256:${'aB'.repeat(32)}`, pieceLength: 4n * MIB, remoteIp: '::1', outputPath: '' })],
    [AN, register({ digest: '', pieceLength: 0n, remoteIp: '', timeout: zero })],
    [AN, register({ pieceLength: 64n * MIB, objectStorage: {}, hdfs: { delegationToken: '' } })],
    [AN, announce({ $case: 'downloadPeerStartedRequest', value: {} })],
    [AN, announce({ $case: 'downloadPieceFinishedRequest', value: { piece: aPiece({ digest: 'crc32:4294967295' }) } })],
    [AN, announce({ $case: 'reschedulePeerRequest', value: { candidateParents: [aPeer()], description: '' } })],
    [UPLOAD, upload(undefined)],
    [UPLOAD, upload({ seconds: 300n, nanos: 0 })],
    [UPLOAD, upload({ seconds: 604_800n, nanos: 0 })],
    ['manager.UpdateSeedPeerRequest', seed({})],
    ['manager.UpdateSeedPeerRequest', seed({ idc: '', location: 'ß'.repeat(1024) })],
    ['manager.GetSchedulerRequest', manager({ schedulerClusterId: 1n, ip: '' })],
    ['errordetails.Backend', { statusCode: 598 }],
    ['errordetails.Backend', { statusCode: 0 }],
    ['dfdaemon.SyncPiecesResponse', { ip: '10.0.0.1', tcpPort: 0 }],
    ['dfdaemon.DownloadPersistentTaskResponse', { hostId: 'h', taskId: 't', peerId: 'p' }],
    ['dfdaemon.IBVerbsQueuePairEndpoint', { gid: Buffer.alloc(16) }],
    ['dfdaemon.DownloadCacheTaskRequest', { url: 'http://o/f', pieceLength: 65n * MIB }],
  ])('%s %#', (name, message) => {
    expect(violationOf(name, message)).toBeUndefined();
  });
});

describe('refuses', () => {
  it.each<[violation: string, name: string, message: object]>([
    // one of each kind of rule
    ['AnnounceHostRequest.host: is required', 'scheduler.AnnounceHostRequest', {}],
    ['Host.id: must have at least 1 character(s)', HOST, aHost({ id: '' })],
    ['Host.type: must be <= 3', HOST, aHost({ type: 4 })],
    ['Host.ip: must be an IP address', HOST, aHost({ ip: '' })],
    ['Host.port: must be >= 1024 and < 65535', HOST, aHost({ port: 1023 })],
    ['Host.port: must be >= 1024 and < 65535', HOST, aHost({ port: 65535 })],
    ['Host.download_port: must be >= 1024 and < 65535', HOST, aHost({ downloadPort: 0 })],
    ['Host.cpu.times.iowait: must be >= 0', HOST, aHost({ cpu: { times: { iowait: -0.1 } } })],
    ['Host.disk.used_percent: must be >= 0 and <= 100', HOST, aHost({ disk: { usedPercent: 100.1 } })],
    ['Task.url: must be an absolute URI', 'common.Task', aTask({ url: '/f' })],
    ['Task.type: must be a number that TaskType defines', 'common.Task', aTask({ type: 9 })],
    ['Peer.cost: is required', 'common.Peer', aPeer({ cost: undefined })],
    ['Peer.created_at: is required', 'common.Peer', aPeer({ createdAt: undefined })],
    ['HuggingFace.revision: must have at least 1 character(s)', 'common.HuggingFace', {}],
    ['ObjectStorage.access_key_id: must have at least 1 character(s)', 'common.ObjectStorage', { accessKeyId: '' }],
    ['NormalTaskResponse.candidate_parents: must have at least 1 item(s)', 'scheduler.NormalTaskResponse', {}],
    [
      'SyncPiecesRequest.interested_piece_numbers: must have at least 1 item(s)',
      'dfdaemon.SyncPiecesRequest',
      { hostId: 'h', taskId: 't' },
    ],
    [
      'IBVerbsQueuePairEndpoint.gid: must have 16 byte(s)',
      'dfdaemon.IBVerbsQueuePairEndpoint',
      { gid: Buffer.alloc(17) },
    ],
    ['Backend.status_code: must be >= 100 and < 599', 'errordetails.Backend', { statusCode: 599 }],
    ['Backend.status_code: must be >= 100 and < 599', 'errordetails.Backend', { statusCode: 99 }],
    ['UpdateSeedPeerRequest.hostname: must be a host name', 'manager.UpdateSeedPeerRequest', seed({ hostname: 'a_b' })],
    ['UpdateSeedPeerRequest.type: must be in [super]', 'manager.UpdateSeedPeerRequest', seed({ type: 'strong' })],
    [
      'UpdateSeedPeerRequest.seed_peer_cluster_id: must be >= 1',
      'manager.UpdateSeedPeerRequest',
      seed({ seedPeerClusterId: 0n }),
    ],
    [
      'UpdateSeedPeerRequest.location: must have 0 to 1024 character(s)',
      'manager.UpdateSeedPeerRequest',
      seed({ location: '🐉'.repeat(1025) }),
    ],
    [
      'UpdateSeedPeerRequest.idc: must have 1 to 1024 character(s)',
      'manager.UpdateSeedPeerRequest',
      seed({ idc: 'x'.repeat(1025) }),
    ],
    [
      'PreheatFileRequest.scope: must match ^(single_seed_peer|all_seed_peers|all_peers)$',
      'scheduler.PreheatFileRequest',
      { url: 'http://o/f' },
    ],
    [
      'PreheatFileRequest.percentage: must be >= 1 and <= 100',
      'scheduler.PreheatFileRequest',
      { url: 'http://o/f', scope: 'all_peers', percentage: 101 },
    ],
    [`${UPLOAD.slice(10)}.ttl: must be >= 300s and <= 604800s`, UPLOAD, upload({ seconds: 299n, nanos: 999_999_999 })],
    [`${UPLOAD.slice(10)}.ttl: must be >= 300s and <= 604800s`, UPLOAD, upload({ seconds: 604_800n, nanos: 1 })],
    [
      `${UPLOAD.slice(10)}.persistent_replica_count: must be >= 1`,
      UPLOAD,
      { ...upload(undefined), persistentReplicaCount: 0n },
    ],
    // what a daemon may get wrong on the announce stream, at every depth
    ['AnnouncePeerRequest.host_id: must have at least 1 character(s)', AN, {}],
    [
      'AnnouncePeerRequest.request: one of register_peer_request, download_peer_started_request, ' +
        'download_peer_back_to_source_started_request, reschedule_peer_request, download_peer_finished_request, ' +
        'download_peer_back_to_source_finished_request, download_peer_failed_request, ' +
        'download_peer_back_to_source_failed_request, download_piece_finished_request, ' +
        'download_piece_back_to_source_finished_request, download_piece_failed_request, ' +
        'download_piece_back_to_source_failed_request is required',
      AN,
      { hostId: 'h', taskId: 't', peerId: 'p' },
    ],
    [
      'AnnouncePeerRequest.register_peer_request.download: is required',
      AN,
      announce({ $case: 'registerPeerRequest', value: {} }),
    ],
    ['AnnouncePeerRequest.register_peer_request.download.url: must be an absolute URI', AN, register({ url: 'o/f' })],
    [
      'AnnouncePeerRequest.register_peer_request.download.piece_length: must be >= 4194304 and <= 67108864',
      AN,
      register({ pieceLength: 4n * MIB - 1n }),
    ],
    [
      'AnnouncePeerRequest.register_peer_request.download.piece_length: must be >= 4194304 and <= 67108864',
      AN,
      register({ pieceLength: 64n * MIB + 1n }),
    ],
    [
      'AnnouncePeerRequest.register_peer_request.download.priority: must be a number that Priority defines',
      AN,
      register({ priority: 7 }),
    ],
    [
      'AnnouncePeerRequest.register_peer_request.download.remote_ip: must be an IP address',
      AN,
      register({ remoteIp: 'me' }),
    ],
    [
      'AnnouncePeerRequest.register_peer_request.download.hugging_face.revision: must have at least 1 character(s)',
      AN,
      register({ huggingFace: {} }),
    ],
    [
      'AnnouncePeerRequest.download_piece_finished_request.piece.cost: is required',
      AN,
      announce({ $case: 'downloadPieceFinishedRequest', value: { piece: { createdAt: now } } }),
    ],
    [
      'AnnouncePeerRequest.download_piece_failed_request.parent_id: must have at least 1 character(s)',
      AN,
      announce({ $case: 'downloadPieceFailedRequest', value: {} }),
    ],
    [
      'AnnouncePeerRequest.download_piece_back_to_source_failed_request.response: one of backend, unknown is required',
      AN,
      announce({ $case: 'downloadPieceBackToSourceFailedRequest', value: {} }),
    ],
    [
      'AnnouncePeerRequest.reschedule_peer_request.candidate_parents[1].host.port: must be >= 1024 and < 65535',
      AN,
      announce({
        $case: 'reschedulePeerRequest',
        value: { candidateParents: [aPeer(), aPeer({ host: aHost({ port: 80 }) })] },
      }),
    ],
  ])('%s', (violation, name, message) => {
    expect(violationOf(name, message)).toBe(violation);
  });

  it.each([
    'sha256:abc',
    `sha256:${'g'.repeat(64)}`,
    `SHA256:${'a'.repeat(64)}`,
    `md5:${'a'.repeat(31)}`,
    'crc32:',
    `sha256:${'a'.repeat(64)}\n`,
  ])('the digest %j', (digest) => {
    expect(violationOf('common.Piece', aPiece({ digest }))).toMatch(/^Piece\.digest: must match /);
  });
});

describe('the rule table', () => {
  it('names only messages, fields and oneofs that exist, and rules that fit their type', () => {
    const fits: Record<Exclude<keyof FieldRules, 'ignoreEmpty'>, string[]> = {
      required: ['message'],
      gte: ['number'],
      lt: ['number'],
      lte: ['number'],
      gteSeconds: ['message'],
      lteSeconds: ['message'],
      minItems: ['list'],
      minLength: ['text', 'bytes'],
      maxLength: ['text', 'bytes'],
      length: ['bytes'],
      uri: ['text'],
      ip: ['text'],
      hostname: ['text'],
      pattern: ['text'],
      in: ['text'],
      definedOnly: ['enum'],
    };
    for (const [name, rules] of Object.entries(validationRules)) {
      const message = descriptors().getMessage(name);
      expect([name, message?.typeName]).toEqual([name, name]);
      for (const oneof of rules.requiredOneofs ?? []) expect(message?.oneofs.map((o) => o.name)).toContain(oneof);
      for (const [fieldName, fieldRules] of Object.entries(rules.fields ?? {})) {
        const field = message?.fields.find((candidate) => candidate.name === fieldName);
        const scalar =
          field?.scalar === ScalarType.STRING ? 'text' : field?.scalar === ScalarType.BYTES ? 'bytes' : 'number';
        const kind = field?.fieldKind === 'scalar' ? scalar : String(field?.fieldKind);
        for (const rule of Object.keys(fieldRules).filter((key) => key !== 'ignoreEmpty')) {
          expect([name, fieldName, rule, fits[rule as keyof typeof fits]]).toEqual([
            name,
            fieldName,
            rule,
            expect.arrayContaining([kind]),
          ]);
        }
      }
    }
    expect(Object.keys(validationRules).length).toBeGreaterThan(100);
  });

  it('knows which messages can violate anything', () => {
    expect(hasRules('scheduler.v2.AnnouncePeerRequest')).toBe(true);
    expect(hasRules('dfdaemon.v2.ListLocalTasksRequest')).toBe(true);
    expect(hasRules('scheduler.v2.ListHostsRequest')).toBe(false);
    // Contains messages that contain each other, none with rules.
    expect(hasRules('manager.v2.ListSchedulersResponse')).toBe(false);
    expect(hasRules('google.protobuf.Empty')).toBe(false);
    // min_len 1 with ignore_empty refuses nothing.
    expect(hasRules('scheduler.v2.DownloadPeerFailedRequest')).toBe(false);
  });

  it('does not know other messages', () => {
    expect(() => hasRules('scheduler.v2.Nothing')).toThrow('unknown message scheduler.v2.Nothing');
    expect(() => validateMessage('nothing', {})).toThrow('unknown message nothing');
  });
});
