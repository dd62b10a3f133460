import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequest, formatJoinToken, parseJoinToken } from '@dragonfly/certificates';
import { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { CertificateAuthorityEntity, Database } from '@dragonfly/persistence';
import { extCertificates, extNotify, managerV2 } from '@dragonfly/proto';
import { createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { Authorities } from '../src/certificates/authorities.js';
import { CertificatesService } from '../src/certificates/certificates.service.js';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

const undo: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});
afterAll(stopEngines);

const SECURITY = { enable: true, joinPort: 0, authorityOverlap: '0s', names: ['manager.example', 'fd00::7'] };

async function start(database: object, more: object = {}, directory = freshDirectory()): Promise<RunningManager> {
  const manager = await RunningManager.start(database, directory, { security: { ...SECURITY, ...more } });
  undo.push(() => manager.stop());
  await manager.signIn();
  return manager;
}

async function tokenOf(manager: RunningManager, request: object = {}): Promise<string> {
  const answer = await manager.request('POST', '/api/v1/join-tokens', request);
  expect(answer.status).toBe(200);
  return (answer.body as { token: string }).token;
}

async function keeperOf(
  manager: RunningManager,
  joinToken: string,
  directory = freshDirectory(),
  names = ['127.0.0.1', 'node-1'],
): Promise<CertificateKeeper> {
  const keeper = await CertificateKeeper.start(
    {
      directory,
      subject: { commonName: 'peer', names },
      managerAddress: `127.0.0.1:${manager.app.grpcPort}`,
      joinAddress: `127.0.0.1:${manager.app.joinPort}`,
      joinToken,
      log: silentLogger(),
    },
    AbortSignal.timeout(20_000),
  );
  undo.push(() => keeper.stop());
  return keeper;
}

/** Asks the manager something over its main port. */
async function ask(manager: RunningManager, keeper: CertificateKeeper | undefined): Promise<unknown> {
  const client = createGrpcClient(
    managerV2.ManagerClient,
    `127.0.0.1:${manager.app.grpcPort}`,
    keeper ? { tls: keeper.clientTls } : {},
  );
  undo.push(() => client.close());
  return unary(
    client.listSchedulers.bind(client),
    { sourceType: managerV2.SourceType.PEER_SOURCE, hostname: 'h', ip: '127.0.0.1', schedulerClusterId: 1n },
    { deadlineMs: 10_000 },
  );
}

describe.each(engines)('certificates on $name', ({ freshDatabase }) => {
  it('are given for a token, once, and open the port that is closed to everybody else', async () => {
    const manager = await start(await freshDatabase());
    await expect(ask(manager, undefined)).rejects.toMatchObject({ code: 'unavailable' });
    const token = await tokenOf(manager, { bio: 'node 1' });
    const keeper = await keeperOf(manager, token);
    await expect(ask(manager, keeper)).resolves.toEqual({ schedulers: [] });

    await expect(keeperOf(manager, token)).rejects.toMatchObject({ code: 'unauthenticated' });
    const { body } = await manager.request('GET', '/api/v1/join-tokens');
    expect(body).toMatchObject([{ bio: 'node 1', names: [] }]);
    expect(JSON.stringify(body)).not.toContain(parseJoinToken(token).secret);
    const certificates = await manager.request('GET', '/api/v1/certificates');
    expect(certificates.body).toMatchObject([
      { common_name: 'peer', names: ['127.0.0.1', 'node-1'] },
      { common_name: 'manager' },
    ]);
  });

  it('are renewed with the one that is there, for the same names only', async () => {
    const manager = await start(await freshDatabase());
    const directory = freshDirectory();
    const keeper = await keeperOf(manager, await tokenOf(manager), directory);
    await keeper.stop();
    // The token is not needed again.
    const again = await keeperOf(manager, '', directory);
    const { serialNumber } = new X509Certificate(readFileSync(`${directory}/tls.crt`));
    const service = manager.app.get(CertificatesService);
    const claim = { kind: 'certificate', serial: serialNumber.toLowerCase() } as const;
    const same = await createRequest({ commonName: 'peer', names: ['node-1', '127.0.0.1'] });
    await expect(service.issue(same.csrDer, claim)).resolves.toMatchObject({ subject: { commonName: 'peer' } });
    const other = await createRequest({ commonName: 'peer', names: ['node-2'] });
    await expect(service.issue(other.csrDer, claim)).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(ask(manager, again)).resolves.toBeDefined();
  });

  it('are refused for names that the token does not allow, and for names of the manager', async () => {
    const manager = await start(await freshDatabase());
    const bound = await tokenOf(manager, { names: ['node-7'] });
    await expect(keeperOf(manager, bound, undefined, ['node-8'])).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(keeperOf(manager, bound, undefined, ['node-7'])).resolves.toBeDefined();
    const free = await tokenOf(manager);
    await expect(keeperOf(manager, free, undefined, ['manager.example'])).rejects.toThrow(/"manager.example" is not/);
    // Whoever checks a certificate takes these for the same names.
    for (const name of ['Manager.Example', 'FD00:0::7']) {
      await expect(keeperOf(manager, free, undefined, [name])).rejects.toMatchObject({ code: 'permission-denied' });
    }
  });

  it('go on through a change of authority, and end with the trust in the old one', async () => {
    const manager = await start(await freshDatabase());
    const keeper = await keeperOf(manager, await tokenOf(manager));
    const first = (await manager.request('GET', '/api/v1/certificate-authorities')).body as { id: number }[];
    expect(first).toHaveLength(1);
    const refused = await manager.request('DELETE', `/api/v1/certificate-authorities/${first[0]?.id}`);
    expect(refused.status).toBeGreaterThanOrEqual(400);

    const made = await manager.request('POST', '/api/v1/certificate-authorities');
    expect(made.status).toBe(200);
    expect(JSON.stringify(made.body)).not.toMatch(/PRIVATE|sealed/);
    await keeper.refresh();
    // A machine that joins now gets a certificate of the new authority; the old one is trusted beside it.
    const second = await keeperOf(manager, await tokenOf(manager));
    await expect(Promise.all([ask(manager, keeper), ask(manager, second)])).resolves.toHaveLength(2);
    await manager.request('DELETE', `/api/v1/certificate-authorities/${first[0]?.id}`);
    await second.refresh();
    await expect(manager.app.get(Authorities).trusted()).resolves.toHaveLength(1);
  });

  it('are good for nothing once revoked', async () => {
    const manager = await start(await freshDatabase());
    const [kept, taken] = [
      await keeperOf(manager, await tokenOf(manager), undefined, ['kept']),
      await keeperOf(manager, await tokenOf(manager), undefined, ['taken']),
    ];
    const { body } = await manager.request('GET', '/api/v1/certificates');
    const id = (body as { id: number; names: string[] }[]).find(({ names }) => names.includes('taken'))?.id;
    expect((await manager.request('DELETE', `/api/v1/certificates/${id}`)).status).toBe(200);
    await expect(ask(manager, taken)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(ask(manager, kept)).resolves.toBeDefined();
    await kept.refresh();
    const serial = (await manager.app.get(CertificatesService).refreshRevoked()).values().next().value ?? '';
    expect(kept.serverTls.isRevoked?.(serial)).toBe(true);
  });

  it('hold no stream open once revoked: who listens to the news is cut off, the others hear of it', async () => {
    const manager = await start(await freshDatabase());
    const [kept, taken] = [
      await keeperOf(manager, await tokenOf(manager), undefined, ['kept']),
      await keeperOf(manager, await tokenOf(manager), undefined, ['taken']),
    ];
    const listen = (keeper: CertificateKeeper): AsyncGenerator<extNotify.Notification> => {
      const client = createGrpcClient(extNotify.NotifyServiceClient, `127.0.0.1:${manager.app.grpcPort}`, {
        tls: keeper.clientTls,
      });
      undo.push(() => client.close());
      return readStream(client.subscribe({ kind: 'peer', hostname: 'node', ip: '127.0.0.1', clusterId: 0n }));
    };
    const [news, cutOff] = [listen(kept), listen(taken)];
    // The first message tells that the stream is open.
    await Promise.all([news.next(), cutOff.next()]);
    const { body } = await manager.request('GET', '/api/v1/certificates');
    const id = (body as { id: number; names: string[] }[]).find(({ names }) => names.includes('taken'))?.id;
    expect((await manager.request('DELETE', `/api/v1/certificates/${id}`)).status).toBe(200);
    const rest = async (): Promise<void> => {
      for await (const notification of cutOff) expect(notification).toBeDefined();
    };
    await expect(rest()).rejects.toMatchObject({ name: 'DfError' });
    for await (const { kind } of news) {
      if (kind === extNotify.NotificationKind.NOTIFICATION_KIND_CERTIFICATES) break;
    }
  });

  it('are not asked for at a manager of another authority', async () => {
    const [ours, other] = [await start(await freshDatabase()), await start(await freshDatabase())];
    const token = parseJoinToken(await tokenOf(ours));
    await expect(keeperOf(other, formatJoinToken(token))).rejects.toThrow(/does not belong to the authority/);
    // It has not been used up: it was never sent.
    await expect(keeperOf(ours, formatJoinToken(token))).resolves.toBeDefined();
  });

  it('have a key that is sealed in the database, and refuse to start with another sealing key', async () => {
    const database = await freshDatabase();
    const manager = await start(database);
    const rows = await manager.app.get(Database).manager.find(CertificateAuthorityEntity);
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('PRIVATE KEY');
    await manager.stop();
    undo.pop();
    await expect(start(database)).rejects.toThrow(/does not open with the configured key/);
  });

  it('cost guests nothing but a refusal, and malformed requests a clear one', async () => {
    const manager = await start(await freshDatabase());
    manager.signOut();
    for (const path of ['join-tokens', 'certificates', 'certificate-authorities']) {
      expect((await manager.request('GET', `/api/v1/${path}`)).status).toBe(401);
    }
    await manager.signIn();
    expect((await manager.request('POST', '/api/v1/join-tokens', { ttl_seconds: 1 })).status).toBe(422);
    expect((await manager.request('DELETE', '/api/v1/certificates/4711')).status).toBe(404);
    const client = createGrpcClient(extCertificates.CertificateServiceClient, `127.0.0.1:${manager.app.joinPort}`);
    undo.push(() => client.close());
    await expect(unary(client.getTrust.bind(client), {}, { deadlineMs: 5_000 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
