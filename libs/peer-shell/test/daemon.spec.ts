import { statSync } from 'node:fs';
import { jest } from '@jest/globals';
import { Client, credentials } from '@grpc/grpc-js';
import { LightClient } from '@dragonfly/light';
import { loadDaemonConfig, PEER_PROFILE, SEED_PROFILE, type DaemonConfig } from '@dragonfly/peer-engine';
import { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { Content, CountingOrigin, tempDir, type TempDir } from '@dragonfly/testkit';
import { Daemon } from '../src/index.js';

jest.setTimeout(60_000);

const CONTENT = new Content(9 * 1024 * 1024);
const DEADLINE = { deadlineMs: 10_000 };

let dir: TempDir;
let origin: CountingOrigin;
let config: DaemonConfig;

beforeEach(async () => {
  dir = tempDir('shell');
  origin = await CountingOrigin.start();
  ({ config } = loadDaemonConfig({
    account: { uid: 0, home: '' },
    env: {
      DRAGONFLY_HOST__IP: '127.0.0.1',
      DRAGONFLY_HOST__HOSTNAME: 'h',
      DRAGONFLY_UPLOAD__SERVER__IP: '127.0.0.1',
      DRAGONFLY_UPLOAD__SERVER__PORT: '0',
      DRAGONFLY_STORAGE__SERVER__TCP_PORT: '0',
      DRAGONFLY_STORAGE__DIR: dir.file('store'),
      DRAGONFLY_SERVER__CACHE_DIR: dir.file('cache'),
      DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: dir.file('d.sock'),
      DRAGONFLY_HEALTH__SERVER__PORT: '0',
      DRAGONFLY_METRICS__SERVER__PORT: '0',
      DRAGONFLY_DYNCONFIG__PATH: dir.file('none.yaml'),
    },
  }));
});

afterEach(async () => {
  await origin.close();
  dir.remove();
});

async function healthOf(address: string, service: string): Promise<number | undefined> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (name: string) => Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]),
        (bytes: Buffer) => bytes[1],
        service,
        { deadline: Date.now() + 5000 },
        (error, status) => {
          if (error === null) resolve(status);
          else reject(error);
        },
      );
    });
  } finally {
    client.close();
  }
}

describe.each([PEER_PROFILE, SEED_PROFILE])('the daemon in the role $name', (profile) => {
  it('serves gRPC on both addresses and downloads through each', async () => {
    const daemon = await Daemon.start({ profile, config, log: silentLogger(), version: '0.1.0' });
    const local = createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, daemon.engine.grpc.downloadAddress);
    const url = origin.put('/file', CONTENT);
    try {
      expect(daemon.engine.readiness.snapshot().conditions['grpc-serving']?.ok).toBe(true);
      const request = { download: { ...commonV2.Download.fromPartial({}), url } };
      const seen: (string | undefined)[] = [];
      for await (const { response } of readStream<dfdaemonV2.DownloadTaskResponse>(local.downloadTask(request))) {
        seen.push(response?.$case);
      }
      expect(seen).toEqual(['downloadTaskStartedResponse', ...[1, 2, 3].map(() => 'downloadPieceFinishedResponse')]);
      const { tasks } = await unary<dfdaemonV2.ListLocalTasksRequest, dfdaemonV2.ListLocalTasksResponse>(
        local.listLocalTasks.bind(local),
        {},
        DEADLINE,
      );
      expect(tasks).toHaveLength(1);
      const light = await LightClient.connect(config.download.lightSocketPath);
      const done = await light.download({ url, output: dir.file('out') });
      expect(done.traffic.fromLocal).toBe(CONTENT.lengthBytes);
      light.close();
      expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
    } finally {
      local.close();
      await daemon.stop();
    }
  });
});

describe('its sockets', () => {
  it.each([
    [undefined, 0o666],
    ['0600', 0o600],
  ])('have the permissions of download.server.socketMode, %p', async (text, mode) => {
    const socketMode = text === undefined ? config.download.server.socketMode : Number.parseInt(text, 8);
    const { download } = config;
    const daemon = await Daemon.start({
      profile: PEER_PROFILE,
      config: { ...config, download: { ...download, server: { ...download.server, socketMode } } },
      log: silentLogger(),
      version: '0.1.0',
    });
    try {
      for (const path of [download.server.socketPath, download.lightSocketPath]) {
        expect(statSync(path).mode & 0o777).toBe(mode);
      }
    } finally {
      await daemon.stop();
    }
  });
});

describe('its gRPC services', () => {
  it('answer health checks under the names that dfget and schedulers ask for', async () => {
    const daemon = await Daemon.start({ profile: PEER_PROFILE, config, log: silentLogger(), version: '0.1.0' });
    try {
      const { downloadAddress } = daemon.engine.grpc;
      expect(await healthOf(downloadAddress, 'dfdaemon.v2.DfdaemonDownload')).toBe(1);
      const upload = `127.0.0.1:${daemon.uploadPort}`;
      expect(await healthOf(upload, '')).toBe(1);
      expect(await healthOf(upload, 'dfdaemon.v2.DfdaemonUpload')).toBe(1);
    } finally {
      await daemon.stop();
    }
  });

  it('tell errors with their codes, in streams and in unary calls, and what is not offered', async () => {
    const daemon = await Daemon.start({ profile: PEER_PROFILE, config, log: silentLogger(), version: '0.1.0' });
    const upload = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, `127.0.0.1:${daemon.uploadPort}`);
    const local = createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, daemon.engine.grpc.downloadAddress);
    try {
      const failOf = async (stream: AsyncIterable<unknown>): Promise<void> => {
        for await (const message of stream) throw new Error(`unexpected ${JSON.stringify(message)}`);
      };
      await expect(
        failOf(readStream(upload.syncPieces({ hostId: 'h', taskId: 'x', interestedPieceNumbers: [0] }))),
      ).rejects.toMatchObject({ code: 'not-found', message: 'task x not found' });
      await expect(unary(upload.statLocalTask.bind(upload), { taskId: 'x' }, DEADLINE)).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(unary(upload.statPersistentTask.bind(upload), { taskId: 'x' }, DEADLINE)).rejects.toMatchObject({
        code: 'unimplemented',
      });
      const url = origin.put('/gone', { content: CONTENT, status: 410 });
      const request = { download: { ...commonV2.Download.fromPartial({}), url } };
      await expect(failOf(readStream(local.downloadTask(request)))).rejects.toMatchObject({
        code: 'origin',
        details: { statusCode: 410 },
      });
      // The upload service is not to be had on the socket, nor the other way round.
      await expect(
        unary(
          (message: dfdaemonV2.StatLocalTaskRequest, metadata, options, callback) =>
            local.makeUnaryRequest(
              '/dfdaemon.v2.DfdaemonUpload/StatLocalTask',
              () => Buffer.from([0x0a, 1, 0x78]),
              (bytes: Buffer) => bytes,
              message,
              metadata,
              options,
              (error, bytes) => callback(error, bytes ?? Buffer.alloc(0)),
            ),
          { taskId: 'x' },
          DEADLINE,
        ),
      ).rejects.toMatchObject({ code: 'unimplemented' });
    } finally {
      upload.close();
      local.close();
      await daemon.stop();
    }
  });
});
