import { PieceStore } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { SourceBackend, SourceRegistry, type SourceBody, type SourceInfo } from '@dragonfly/sources';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir } from '@dragonfly/testkit';
import { requestOfDownload } from './download-request.js';
import { prepareTask } from './preparation.js';

class OneAnswer extends SourceBackend {
  readonly schemes = ['http'];

  constructor(private readonly info: SourceInfo) {
    super();
  }

  async stat(): Promise<SourceInfo> {
    return this.info;
  }

  async read(): Promise<SourceBody> {
    throw new Error('not expected here');
  }

  async close(): Promise<void> {}
}

describe('prepareTask', () => {
  it('keeps the headers of the content, and none that were meant for one requester or one connection', async () => {
    using dir = tempDir('prepare');
    const store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
    const sources = new SourceRegistry();
    sources.register(
      new OneAnswer({
        contentLengthBytes: 10,
        supportsRange: true,
        statusCode: 206,
        headers: {
          'Content-Type': 'text/plain',
          'content-range': 'bytes 0-0/10',
          'content-length': '1',
          'set-cookie': 'session=secret',
          connection: 'close',
          etag: '"a"',
        },
        etag: '"a"',
        lastModified: undefined,
      }),
    );
    const request = requestOfDownload(commonV2.Download.fromPartial({ url: 'http://origin/file' }));
    const { task } = await prepareTask(store, sources, request, new AbortController().signal);
    expect(task.meta.responseHeader).toEqual({ 'content-type': 'text/plain', 'content-length': '10', etag: '"a"' });
    await store.close();
  });

  it('blames the source for a length that nothing can hold', async () => {
    using dir = tempDir('prepare');
    const store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
    const sources = new SourceRegistry();
    const contentLengthBytes = Number.MAX_SAFE_INTEGER;
    sources.register(
      new OneAnswer({
        contentLengthBytes,
        supportsRange: true,
        statusCode: 200,
        headers: {},
        etag: undefined,
        lastModified: undefined,
      }),
    );
    const request = requestOfDownload(commonV2.Download.fromPartial({ url: 'http://origin/file' }));
    await expect(prepareTask(store, sources, request, new AbortController().signal)).rejects.toMatchObject({
      code: 'origin',
      details: { statusCode: 200 },
    });
    expect(store.list()).toEqual([]);
    await store.close();
  });
});
