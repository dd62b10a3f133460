import { readFileSync } from 'node:fs';
import { schedulerV2 } from '@dragonfly/proto';
import { type ClientTls, createGrpcClient, handleUnary, unary } from '../src/index.js';
import { CapturedLog, CleanUp, startScheduler } from './harness.js';

/** An authority and a certificate of it for `scheduler.test`, made for this test and valid for a hundred years. */
const pem = (file: string): Buffer => readFileSync(new URL(`./vectors/${file}`, import.meta.url));
const ca = pem('ca.crt');
const member = { certificate: pem('member.crt'), key: pem('member.key') };

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

async function callWith(port: number, tls: ClientTls | undefined): Promise<string> {
  const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${port}`, { tls });
  cleanUp.add(() => client.close());
  const task = await unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, { deadlineMs: 5000 });
  return task.id;
}

describe('a server with TLS', () => {
  const statTask = handleUnary(async () => Promise.resolve({ id: 'secret' }), new CapturedLog());

  it('answers clients that trust its authority, and no plain ones', async () => {
    const { port } = await startScheduler(cleanUp, { statTask }, { tls: member });
    expect(await callWith(port, { ca, serverName: 'scheduler.test' })).toBe('secret');
    await expect(callWith(port, { ca })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(callWith(port, { serverName: 'scheduler.test' })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(callWith(port, undefined)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('asks for a client certificate when told so', async () => {
    const { port } = await startScheduler(cleanUp, { statTask }, { tls: { ...member, clientCa: ca } });
    expect(await callWith(port, { ca, ...member, serverName: 'scheduler.test' })).toBe('secret');
    await expect(callWith(port, { ca, serverName: 'scheduler.test' })).rejects.toMatchObject({ code: 'unavailable' });
  });
});
