import { setTimeout as delay } from 'node:timers/promises';
import { MariaDbServer } from '@dragonfly/testkit';
import { BreakableProxy } from './breakable-proxy.js';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { RunningManager, type Answer } from './running-manager.js';

const server = await MariaDbServer.startIfPresent();
afterAll(async () => {
  await server?.stop();
  await stopEngines();
});

if (!server) {
  console.warn(`skip: faults of a database server: ${MariaDbServer.missingReason}`);
}

(server ? describe : describe.skip)('a database that goes away while the manager runs', () => {
  let proxy: BreakableProxy;
  let manager: RunningManager;
  let names = 0;

  beforeAll(async () => {
    await server?.createDatabase('faults');
    proxy = await BreakableProxy.to(server?.port ?? 0);
    manager = await RunningManager.start({
      type: 'mariadb',
      mysql: {
        host: '127.0.0.1',
        port: proxy.port,
        user: 'root',
        password: '',
        dbname: 'faults',
        queryTimeout: '3s',
      },
    });
    await manager.signIn();
  });
  afterAll(async () => {
    await manager.stop();
    await proxy.close();
  });

  /** @returns the name when it was answered 200 */
  const write = async (): Promise<{ name: string; answer: Answer }> => {
    names += 1;
    const name = `n-${names}`;
    return { name, answer: await manager.request('POST', '/api/v1/configs', { name, value: 'v', user_id: 1 }) };
  };
  const stored = async (): Promise<Set<string>> => {
    const { body } = await manager.request('GET', '/api/v1/configs?per_page=10000');
    return new Set((body as { name: string }[]).map(({ name }) => name));
  };
  const recovered = async (): Promise<void> => {
    for (let n = 0; n < 100; n += 1) {
      if ((await write()).answer.status === 200) {
        return;
      }
      await delay(50);
    }
    throw new Error('the manager did not recover');
  };

  it('answers 503 with Retry-After, recovers by itself, and has lost nothing that it answered with 200', async () => {
    const answered = new Set<string>();
    const statuses = new Set<number>();
    let isOver = false;
    const writer = async (): Promise<void> => {
      while (!isOver) {
        const { name, answer } = await write();
        statuses.add(answer.status);
        if (answer.status === 200) {
          answered.add(name);
        } else {
          expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
          await delay(10);
        }
      }
    };
    const writers = Promise.all([writer(), writer(), writer(), writer()]);
    for (let round = 0; round < 3; round += 1) {
      await delay(150);
      proxy.cut();
      await delay(150);
      proxy.mend();
    }
    await delay(150);
    isOver = true;
    await writers;
    await recovered();
    expect(statuses).toEqual(new Set([200, 503]));
    const found = await stored();
    expect([...answered].filter((name) => !found.has(name))).toEqual([]);
    expect(answered.size).toBeGreaterThan(10);
  }, 60_000);

  it('does not wait for ever for a server that says nothing, and goes on with new connections', async () => {
    proxy.silence();
    const begunMs = performance.now();
    const { answer } = await write();
    expect(answer).toMatchObject({ status: 503 });
    expect(answer.headers.get('retry-after')).toBe('2');
    // One timeout for the statement, one second for the audit entry, and time for a busy machine.
    expect(performance.now() - begunMs).toBeLessThan(15_000);
    proxy.mend();
    await recovered();
  }, 60_000);
});

describe.each(engines)('bad requests on $name', ({ freshDatabase }) => {
  let manager: RunningManager;

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase(), freshDirectory());
    await manager.signIn();
  });
  afterAll(() => manager.stop());

  it('that are 10 MB long are answered with 413, and the next one as ever', async () => {
    const body = JSON.stringify({ name: 'x', value: 'v'.repeat(10 * 1024 * 1024), user_id: 1 });
    const answer = await manager.request('POST', '/api/v1/configs', body);
    expect(answer).toMatchObject({ status: 413, body: { message: expect.stringContaining('large') as string } });
    expect((await manager.request('GET', '/api/v1/configs')).status).toBe(200);
  });

  it('two changes of one row at the same time both end, the last one stays whole', async () => {
    const { id } = (await manager.request('POST', '/api/v1/configs', { name: 'both', value: '0', user_id: 1 }))
      .body as {
      id: number;
    };
    const change = (n: number): Promise<Answer> =>
      manager.request('PATCH', `/api/v1/configs/${id}`, { value: `v-${n}`, bio: `b-${n}` });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => change(n)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { value, bio } = (await manager.request('GET', `/api/v1/configs/${id}`)).body as Record<string, string>;
    expect(value?.slice(2)).toBe(bio?.slice(2));
  });

  it('with an expression that takes other engines for ever are searched in time', async () => {
    const scopes = { hostnames: ['^(a+)+$'] };
    await manager.request('PATCH', '/api/v1/clusters/1', { scopes });
    const begunMs = performance.now();
    await new Promise((resolve, reject) => {
      const request = { version: '1', commit: '', hostname: `${'a'.repeat(60)}1`, ip: '10.0.0.1', sourceType: 2 };
      manager.grpc.listSchedulers(request as never, (error) => (error ? reject(error) : resolve(undefined)));
    });
    expect(performance.now() - begunMs).toBeLessThan(2_000);
    await manager.request('PATCH', '/api/v1/clusters/1', { scopes: {} });
  });
});
