import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LightClient } from './client.js';

describe('connecting', () => {
  let directory: string;
  let socketPath: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'df-light-'));
    socketPath = path.join(directory, 's');
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('waits for its turn when more come at once than the socket can hold', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen({ path: socketPath, backlog: 1 }, resolve));
    try {
      const clients = await Promise.all(Array.from({ length: 50 }, () => LightClient.connect(socketPath)));
      for (const client of clients) client.close();
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('is given up at once where nobody listens', async () => {
    await expect(LightClient.connect(socketPath)).rejects.toMatchObject({ details: { errno: 'ENOENT' } });
  });
});
