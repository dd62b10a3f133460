/** A bare HTTP server that answers every request with the bytes it was told; run as a process of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let body = Buffer.alloc(0);
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length });
  response.end(body);
});
process.on('message', (text: string) => {
  body = Buffer.from(text);
  process.send?.('set');
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
