import { once } from 'node:events';
import { connect } from 'node:http2';
import { CleanUp, startScheduler } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

/** Far more than daemons send: one in 300 s. */
const PINGS = 20;

// Daemons ping to keep long streams alive; a Go server answers pings that come too often with GOAWAY.
it('answers pings of a connection without calls and never takes them for an attack', async () => {
  const { port } = await startScheduler(cleanUp, {});
  const session = connect(`http://127.0.0.1:${port}`);
  cleanUp.add(() => session.destroy());
  await once(session, 'connect');
  let isSentAway = false;
  session.on('goaway', () => (isSentAway = true));
  for (let ping = 0; ping < PINGS; ping += 1) {
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => (error === null ? resolve() : reject(error)));
    });
  }
  expect({ isSentAway, isClosed: session.closed }).toEqual({ isSentAway: false, isClosed: false });
});
