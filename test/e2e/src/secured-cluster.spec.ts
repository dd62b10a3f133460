import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import { Content, CountingOrigin, sha256OfFile, waitFor } from '@dragonfly/testkit';
import type { Download } from './local-cluster.js';
import { PORT, SecuredCluster, START_TIMEOUT_MS } from './secured-cluster.js';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 180_000;
/** How long the news of a change may take: heard at once, passed on after half a second, and a slow machine. */
const NEWS_TIMEOUT_MS = 30_000;
const OVERLAP_MS = 2_000;

/** Whether an HTTP/2 client without TLS gets anything from a port. */
async function answersInPlain(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  const answer = await Promise.race([
    once(socket, 'data').then(([data]) => (data as Buffer)[3] === 4), // a SETTINGS frame
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

/** Whether a TLS client without a certificate of its own is let in. */
async function admitsWithoutCertificate(port: number): Promise<boolean> {
  const socket = connectTls({ host: HOST, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  socket.on('error', () => undefined);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  const answer = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

describe('a cluster with the one switch for mTLS on', () => {
  let cluster: SecuredCluster;
  let origin: CountingOrigin;

  beforeAll(async () => {
    origin = await CountingOrigin.start();
    cluster = await SecuredCluster.start({ security: { authorityOverlap: `${OVERLAP_MS}ms` } });
  }, 4 * START_TIMEOUT_MS);

  afterAll(async () => {
    await cluster.stop();
    await origin.close();
  }, TEST_TIMEOUT_MS);

  async function expectContent(download: Download, content: Content): Promise<void> {
    expect({ status: download.status, stderr: download.stderr }).toMatchObject({ status: 0 });
    expect(await sha256OfFile(download.output)).toBe(content.sha256());
  }

  async function downloadOnce(name: string, sizeBytes: number, daemon = 'peer'): Promise<Download> {
    const content = new Content(sizeBytes);
    const download = await cluster.download(origin.put(`/${name}`, content), daemon);
    await expectContent(download, content);
    expect(origin.bodyBytesSent(`/${name}`)).toBe(sizeBytes);
    return download;
  }

  const certificateOf = (name: string): X509Certificate =>
    new X509Certificate(readFileSync(cluster.file(name, 'certificates', 'tls.crt')));
  const trustedBy = (name: string): number =>
    readFileSync(cluster.file(name, 'certificates', 'ca.crt'), 'utf8').split('BEGIN CERTIFICATE').length - 1;

  it(
    'downloads through scheduler, seed peer and peer, each of which joined with a token',
    async () => {
      const { report } = await downloadOnce('first', 10 * MIB);
      expect(report?.traffic).toMatchObject({ source: 0, seed: 10 * MIB });
      const certificates = await cluster.certificates();
      expect(certificates.map((one) => one.common_name).sort()).toEqual(['manager', 'peer', 'scheduler', 'seed-peer']);
      for (const name of ['scheduler', 'seed-peer', 'peer']) {
        expect(readdirSync(cluster.file(name, 'certificates')).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
        expect(readFileSync(cluster.file(name, 'certificates', 'tls.key'), 'utf8')).toContain('PRIVATE KEY');
      }
    },
    TEST_TIMEOUT_MS,
  );

  it('lets nobody in without a certificate, on no gRPC port', async () => {
    const ports = {
      manager: cluster.port(PORT.grpc),
      scheduler: cluster.port(PORT.scheduler),
      seedPeer: cluster.daemonPort('seed-peer'),
      peer: cluster.daemonPort('peer'),
    };
    for (const [name, port] of Object.entries(ports)) {
      expect([name, await answersInPlain(port), await admitsWithoutCertificate(port)]).toEqual([name, false, false]);
    }
  });

  it(
    'tells a daemon without certificates, and one whose token is not good, what they lack',
    async () => {
      const stranger = await cluster.startService('peer-stranger', { security: { enable: false } }, false);
      await waitFor(() => /it may want TLS, or another certificate \(security\.enable/.test(stranger.log()), {
        what: `the reason in the log`,
        timeoutMs: START_TIMEOUT_MS,
      }).catch((error: unknown) => {
        throw new Error(stranger.log(), { cause: error });
      });
      await stranger.stop();
      const [authority] = await cluster.request<{ fingerprint: string }[]>('GET', 'certificate-authorities');
      writeFileSync(cluster.file('peer-stranger.token'), `${authority?.fingerprint}.${'A'.repeat(43)}`);
      const refused = await cluster.startService('peer-stranger', {}, false).catch((error: unknown) => error);
      const log = Error.isError(refused) ? () => refused.message : () => (refused as typeof stranger).log();
      await waitFor(() => log().includes('the join token is unknown, used or expired'), { what: 'the reason' });
      cluster.services.delete('peer-stranger');
      if (!Error.isError(refused)) await (refused as typeof stranger).exited;
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'goes on after restarts without any token',
    async () => {
      expect(cluster.hasToken('peer')).toBe(false);
      await cluster.restart('peer');
      await downloadOnce('second', 5 * MIB);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'changes its authority and every certificate in mid-download, without a restart',
    async () => {
      const content = new Content(64 * MIB, 3);
      const slow = cluster.beginDownload(origin.put('/slow', { content, bytesPerSecond: MIB / 4 }));
      await waitFor(() => origin.bodyBytesSent('/slow') > 0, { what: 'the first bytes' });
      let isChanging = true;
      const meanwhile = (async () => {
        let count = 0;
        for (; isChanging; count += 1) await downloadOnce(`meanwhile-${count}`, 5 * MIB);
        return count;
      })();
      const names = ['scheduler', 'seed-peer', 'peer'];
      const before = new Map(names.map((name) => [name, certificateOf(name).serialNumber]));
      const [old] = await cluster.request<{ id: number; fingerprint: string }[]>('GET', 'certificate-authorities');
      const made = await cluster.request<{ fingerprint: string; signs_from: string }>(
        'POST',
        'certificate-authorities',
      );
      await waitFor(() => names.every((name) => trustedBy(name) === 2), {
        what: 'everybody to trust both',
        timeoutMs: NEWS_TIMEOUT_MS,
      });
      // Everybody changes over when the new authority signs, long before the old certificates end.
      await waitFor(() => names.every((name) => certificateOf(name).serialNumber !== before.get(name)), {
        what: 'new certificates',
        timeoutMs: 2 * NEWS_TIMEOUT_MS,
      });
      const now = (await cluster.certificates()).filter(
        ({ authority_fingerprint }) => authority_fingerprint === made.fingerprint,
      );
      expect(new Set(now.map(({ common_name }) => common_name))).toEqual(
        new Set(['manager', 'scheduler', 'seed-peer', 'peer']),
      );
      await cluster.request('DELETE', `certificate-authorities/${old?.id}`);
      await waitFor(() => names.every((name) => trustedBy(name) === 1), {
        what: 'nobody to trust the old one',
        timeoutMs: NEWS_TIMEOUT_MS,
      });
      isChanging = false;
      expect(await meanwhile).toBeGreaterThan(0);
      await expectContent(await slow.ended, content);
      expect(origin.bodyBytesSent('/slow')).toBe(64 * MIB);
      await downloadOnce('third', 5 * MIB);
      for (const name of ['manager', ...names]) {
        expect([name, cluster.services.get(name)?.exitCode]).toEqual([name, undefined]);
      }
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'cuts a daemon off whose certificate was taken back, and nobody else',
    async () => {
      await cluster.join('peer-lost');
      await downloadOnce('fourth', 5 * MIB, 'peer-lost');
      const rows = await cluster.certificates();
      const lost = rows.find(({ names }) => names.includes('secured-peer-lost'));
      await cluster.request('DELETE', `certificates/${lost?.id}`);
      const attempt = async (): Promise<Download> =>
        cluster.download(
          origin.put(`/lost-${Math.random()}`, new Content(5 * MIB, 9)),
          'peer-lost',
          '--disable-back-to-source',
        );
      const refused = await waitFor(
        async () => {
          const download = await attempt();
          return download.status !== 0 && download;
        },
        { what: 'the refusal', timeoutMs: NEWS_TIMEOUT_MS, intervalMs: 500 },
      );
      expect(refused.stdout + refused.stderr).toMatch(/revoked|back-to-source is disabled/);
      expect(cluster.services.get('peer-lost')?.log()).toContain('the certificate has been revoked');
      await downloadOnce('fifth', 5 * MIB);
    },
    TEST_TIMEOUT_MS,
  );
});
