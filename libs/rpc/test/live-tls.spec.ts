import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { jest } from '@jest/globals';
import {
  createAuthority,
  createRequest,
  type KeyedCertificate,
  pemOfCertificate,
  signRequest,
} from '@dragonfly/certificates';
import { schedulerV2 } from '@dragonfly/proto';
import {
  BidiCall,
  closeRevokedConnections,
  createGrpcClient,
  handleBidi,
  handleUnary,
  LiveCertificates,
  unary,
} from '../src/index.js';
import { CapturedLog, CleanUp, startScheduler, STREAM_WAYS } from './harness.js';

const HOUR_MS = 3_600_000;
/** Keys are made and hands shaken: seconds, where many tests share the processors. */
jest.setTimeout(30_000);
const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

/** The files of one member, written again at each call. */
class MemberFiles {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'live-tls-'));
  readonly files = {
    certificateFile: path.join(this.directory, 'tls.crt'),
    keyFile: path.join(this.directory, 'tls.key'),
    caFile: path.join(this.directory, 'ca.crt'),
  };

  constructor() {
    cleanUp.add(() => rmSync(this.directory, { recursive: true }));
  }

  /** @returns serial of the new certificate */
  async issue(authority: KeyedCertificate, trusted = [authority]): Promise<string> {
    const { csrDer, privateKeyPem } = await createRequest({ commonName: 'member', names: ['127.0.0.1'] });
    const { certificateDer, serial } = await signRequest(authority, csrDer, HOUR_MS);
    writeFileSync(this.files.caFile, trusted.map((one) => one.certificatePem).join(''));
    writeFileSync(this.files.keyFile, privateKeyPem);
    writeFileSync(this.files.certificateFile, pemOfCertificate(certificateDer));
    return serial;
  }
}

async function callWith(port: number, live: LiveCertificates | undefined): Promise<string> {
  const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, live ? { tls: { live } } : {});
  cleanUp.add(() => client.close());
  const task = await unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, { deadlineMs: 5000 });
  return task.id;
}

const ANSWER = { response: { $case: 'needBackToSourceResponse', value: { description: '' } } } as const;

/** An AnnouncePeer stream that is answered message by message. */
interface Conversation {
  ask(): Promise<IteratorResult<unknown>>;
  next(): Promise<IteratorResult<unknown>>;
}

function aConversation(client: schedulerV2.SchedulerClient): Conversation {
  const call = BidiCall.open<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
    client.announcePeer.bind(client),
  );
  const answers = call.messages();
  const request = { $case: 'downloadPeerStartedRequest', value: {} } as const;
  return {
    ask: async () => {
      await call.send({ hostId: 'h', taskId: 't', peerId: 'p', request });
      return answers.next();
    },
    next: () => answers.next(),
  };
}

describe('certificates in files', () => {
  let log = new CapturedLog();
  const statTask = handleUnary(async () => Promise.resolve({ id: 'secret' }), log);

  beforeEach(() => {
    log = new CapturedLog();
  });

  it('are taken over while server and clients run, also when the authority changes', async () => {
    const [old, fresh] = await Promise.all([createAuthority('old'), createAuthority('fresh')]);
    const [serverFiles, clientFiles] = [new MemberFiles(), new MemberFiles()];
    await Promise.all([serverFiles.issue(old), clientFiles.issue(old)]);
    const [server, client] = await Promise.all([
      LiveCertificates.load(serverFiles.files, log),
      LiveCertificates.load(clientFiles.files, log),
    ]);
    const { port } = await startScheduler(cleanUp, { statTask }, { tls: { live: server } });
    expect(await callWith(port, client)).toBe('secret');
    await expect(callWith(port, undefined)).rejects.toMatchObject({ code: 'unavailable' });

    await serverFiles.issue(fresh, [fresh]);
    await server.check();
    await expect(callWith(port, client)).rejects.toMatchObject({ code: 'unavailable' });
    await clientFiles.issue(fresh, [fresh, old]);
    await client.check();
    expect(await callWith(port, client)).toBe('secret');
  });

  it('stay as they were while the new ones do not fit together', async () => {
    const authority = await createAuthority('one');
    const files = new MemberFiles();
    await files.issue(authority);
    const live = await LiveCertificates.load(files.files, log);
    const before = live.current;
    writeFileSync(files.files.keyFile, (await createRequest({ commonName: 'x', names: ['x'] })).privateKeyPem);
    await live.check();
    await live.check();
    expect(live.current).toBe(before);
    const complaints = log.entries.filter(({ level }) => level === 'warn');
    expect(complaints).toHaveLength(1);
    expect(complaints[0]?.fields['reason']).toMatch(/tls\.key is not the key of/);
    await files.issue(authority);
    await live.check();
    expect(live.current).not.toBe(before);
  });

  it('name the file that cannot be read', async () => {
    const { files } = new MemberFiles();
    await expect(LiveCertificates.load(files, log)).rejects.toThrow(/cannot read .*(tls|ca)\.(crt|key)/);
    writeFileSync(files.certificateFile, 'x');
    writeFileSync(files.keyFile, 'x');
    writeFileSync(files.caFile, 'x');
    await expect(LiveCertificates.load(files, log)).rejects.toThrow(/ca\.crt: is not in PEM form/);
  });

  it('are good for nothing once revoked, over a standing connection too', async () => {
    const authority = await createAuthority('one');
    const [serverFiles, clientFiles] = [new MemberFiles(), new MemberFiles()];
    await serverFiles.issue(authority);
    const serial = await clientFiles.issue(authority);
    const revoked = new Set<string>();
    const tls = {
      live: await LiveCertificates.load(serverFiles.files, log),
      isRevoked: (one: string) => revoked.has(one),
    };
    const { port } = await startScheduler(cleanUp, { statTask }, { tls });
    const live = await LiveCertificates.load(clientFiles.files, log);
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls: { live } });
    cleanUp.add(() => client.close());
    const ask = (): Promise<unknown> =>
      unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, { deadlineMs: 5000 });
    await expect(ask()).resolves.toMatchObject({ id: 'secret' });
    revoked.add(serial);
    await expect(ask()).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it.each(STREAM_WAYS)('open streams over %s until they are revoked', async (_, servesStreamsDirectly) => {
    const authority = await createAuthority('one');
    const [serverFiles, clientFiles] = [new MemberFiles(), new MemberFiles()];
    await serverFiles.issue(authority);
    const serial = await clientFiles.issue(authority);
    const revoked = new Set<string>();
    const tls = {
      live: await LiveCertificates.load(serverFiles.files, log),
      isRevoked: (one: string) => revoked.has(one),
    };
    const announcePeer = handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((stream) => {
      stream.onEnd(() => stream.end());
    }, log);
    const { port } = await startScheduler(cleanUp, { announcePeer }, { tls, servesStreamsDirectly });
    const live = await LiveCertificates.load(clientFiles.files, log);
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls: { live } });
    cleanUp.add(() => client.close());
    const ask = (): Promise<unknown> => {
      const call = BidiCall.open(client.announcePeer.bind(client));
      call.finish();
      return call.messages().next();
    };
    await expect(ask()).resolves.toMatchObject({ done: true });
    revoked.add(serial);
    await expect(ask()).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it.each(STREAM_WAYS)('hold no stream open over %s once they are revoked', async (_, servesStreamsDirectly) => {
    const authority = await createAuthority('one');
    const [serverFiles, clientFiles, otherFiles] = [new MemberFiles(), new MemberFiles(), new MemberFiles()];
    await Promise.all([serverFiles.issue(authority), otherFiles.issue(authority)]);
    const serial = await clientFiles.issue(authority);
    const revoked = new Set<string>();
    const tls = {
      live: await LiveCertificates.load(serverFiles.files, log),
      isRevoked: (one: string) => revoked.has(one),
    };
    let ended = 0;
    const announcePeer = handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((stream) => {
      stream.onCancel(() => (ended += 1));
      stream.onMessage(() => stream.send(ANSWER));
      stream.onEnd(() => stream.end());
    }, log);
    const { port } = await startScheduler(cleanUp, { announcePeer }, { tls, servesStreamsDirectly });
    const open = async (files: MemberFiles): Promise<Conversation> => {
      const live = await LiveCertificates.load(files.files, log);
      const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls: { live } });
      cleanUp.add(() => client.close());
      return aConversation(client);
    };
    const [one, other] = [await open(clientFiles), await open(otherFiles)];
    await expect(one.ask()).resolves.toMatchObject({ done: false });
    await expect(other.ask()).resolves.toMatchObject({ done: false });
    revoked.add(serial);
    // Nobody sends anything: the server ends it by itself.
    await expect(one.next()).rejects.toMatchObject({ name: 'DfError' });
    expect(ended).toBe(1);
    await expect(other.ask()).resolves.toMatchObject({ done: false });
  });

  it('of a server hold no stream open once they are revoked, at clients that have heard of it', async () => {
    const authority = await createAuthority('one');
    const [serverFiles, clientFiles] = [new MemberFiles(), new MemberFiles()];
    const serial = await serverFiles.issue(authority);
    await clientFiles.issue(authority);
    const announcePeer = handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((stream) => {
      stream.onMessage(() => stream.send(ANSWER));
      stream.onEnd(() => stream.end());
    }, log);
    const server = await LiveCertificates.load(serverFiles.files, log);
    const { port } = await startScheduler(cleanUp, { announcePeer }, { tls: { live: server } });
    const revoked = new Set<string>();
    cleanUp.add(closeRevokedConnections('client', (one) => revoked.has(one)));
    const live = await LiveCertificates.load(clientFiles.files, log);
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls: { live } });
    cleanUp.add(() => client.close());
    const conversation = aConversation(client);
    await expect(conversation.ask()).resolves.toMatchObject({ done: false });
    revoked.add(serial);
    await expect(conversation.next()).rejects.toMatchObject({ name: 'DfError' });
  });

  it('of a server are good for nothing once revoked, to clients that have heard of it', async () => {
    const authority = await createAuthority('one');
    const [serverFiles, clientFiles] = [new MemberFiles(), new MemberFiles()];
    const serial = await serverFiles.issue(authority);
    await clientFiles.issue(authority);
    const { port } = await startScheduler(
      cleanUp,
      { statTask },
      { tls: { live: await LiveCertificates.load(serverFiles.files, log) } },
    );
    const live = await LiveCertificates.load(clientFiles.files, log);
    const revoked = new Set<string>();
    const ask = async (): Promise<unknown> => {
      const tls = { live, isRevoked: (one: string) => revoked.has(one) };
      const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls });
      cleanUp.add(() => client.close());
      return unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, { deadlineMs: 5000 });
    };
    await expect(ask()).resolves.toMatchObject({ id: 'secret' });
    revoked.add(serial);
    await expect(ask()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('has been revoked') as string,
    });
  });

  it('serve clients that have none where they are not asked for any', async () => {
    const authority = await createAuthority('one');
    const serverFiles = new MemberFiles();
    await serverFiles.issue(authority);
    const live = await LiveCertificates.load(serverFiles.files, log);
    const { port } = await startScheduler(cleanUp, { statTask }, { tls: { live, asksClients: false } });
    const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, {
      tls: { ca: Buffer.from(authority.certificatePem) },
    });
    cleanUp.add(() => client.close());
    const task = await unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, { deadlineMs: 5000 });
    expect(task.id).toBe('secret');
  });
});
