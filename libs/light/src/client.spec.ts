import net from 'node:net';
import { tempDir } from '@dragonfly/testkit';
import { LightClient } from './client.js';

describe('connecting', () => {
  it('waits for its turn when more come at once than the socket can hold', async () => {
    using dir = tempDir('backlog');
    const path = dir.file('s');
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen({ path, backlog: 1 }, resolve));
    try {
      const clients = await Promise.all(Array.from({ length: 50 }, () => LightClient.connect(path)));
      for (const client of clients) client.close();
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('is given up at once where nobody listens', async () => {
    using dir = tempDir('nobody');
    await expect(LightClient.connect(dir.file('s'))).rejects.toMatchObject({ details: { errno: 'ENOENT' } });
  });
});
