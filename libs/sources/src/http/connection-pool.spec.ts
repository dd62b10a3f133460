import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { routeOf, type Route } from './connection.js';
import { ConnectionPool } from './connection-pool.js';

const OPTIONS = { connectTimeoutMs: 5_000, idleTimeoutMs: 5_000, keepAliveMs: 5_000 };

describe('ConnectionPool', () => {
  let server: Server;
  let route: Route;
  let open: number;
  let most: number;

  beforeEach(async () => {
    open = 0;
    most = 0;
    server = createServer((socket) => {
      open += 1;
      most = Math.max(most, open);
      socket.on('error', () => undefined);
      socket.on('close', () => (open -= 1));
      socket.resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    route = routeOf(new URL(`http://127.0.0.1:${port}/`), undefined, { rejectUnauthorized: true, ca: undefined });
  });
  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  it('keeps to its bound also when all connections go at once and others wait', async () => {
    const pool = new ConnectionPool({ ...OPTIONS, maxConnectionsPerOrigin: 2 });
    const { signal } = new AbortController();
    const acquire = () => pool.acquire(route, signal, false);
    const [first, second] = await Promise.all([acquire(), acquire()]);
    const third = acquire();
    // As when one download is given up: in the same turn.
    for (const connection of [first, second]) pool.release(route, connection, false);
    const held = [await third, await acquire()];
    let isAdmitted = false;
    const another = acquire().then((connection) => {
      isAdmitted = true;
      return connection;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAdmitted).toBe(false);
    for (const connection of held) pool.release(route, connection, false);
    pool.release(route, await another, false);
    // Whatever went before, the bound is what it was.
    const again = await Promise.all([acquire(), acquire()]);
    const late = acquire();
    await expect(Promise.race([late, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))])).resolves.toBe(
      'waits',
    );
    for (const connection of again) pool.release(route, connection, false);
    pool.release(route, await late, false);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('gives a place that was handed over back when its taker has gone', async () => {
    const pool = new ConnectionPool({ ...OPTIONS, maxConnectionsPerOrigin: 1 });
    const gone = new AbortController();
    const first = await pool.acquire(route, new AbortController().signal, false);
    const second = pool.acquire(route, gone.signal, false);
    const third = pool.acquire(route, new AbortController().signal, false);
    pool.release(route, first, false);
    gone.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    pool.release(route, await third, false);
  });
});
