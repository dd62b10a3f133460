/**
 * Tells which ports are taken: `check-ports.mjs SERVICE KIND HOST PORT [SERVICE KIND HOST PORT ...]`.
 *
 * Prints one line `SERVICE KIND PORT REASON` for each port that cannot be listened on, nothing for a free one. It listens for
 * a moment on the very address that the service will use: asking who listens would miss other addresses and other users.
 */
import { createServer } from 'node:net';

/**
 * @param {string} host address to listen on
 * @param {number} port
 * @returns {Promise<string | undefined>} why it cannot be listened on; undefined when it can
 */
function whyTaken(host, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code === 'EADDRINUSE') resolve('in use');
      else if (error.code === 'EACCES') resolve('not allowed for this user');
      else if (error.code === 'EADDRNOTAVAIL') resolve(`on an address this machine does not have (${host})`);
      else resolve(`not usable (${error.message})`);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const [...rest] = process.argv.slice(2);
const claimed = new Map();
while (rest.length >= 4) {
  const [service, kind, host, port] = rest.splice(0, 4);
  const other = claimed.get(port);
  claimed.set(port, `${service} (${kind})`);
  const reason = other ? `also given to ${other}` : await whyTaken(host, Number(port));
  if (reason) console.log(`${service} ${kind} ${port} ${reason}`);
}
