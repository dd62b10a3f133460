/** A bare grpc-js server that answers ListSchedulers with the bytes it was told (base64); run as a process of its own. */
import { managerV2 } from '@dragonfly/proto';
import { Server, ServerCredentials } from '@grpc/grpc-js';

let answer: Buffer = Buffer.alloc(0);
const server = new Server();
const asItIs = (bytes: Buffer): Buffer => bytes;
const { listSchedulers } = managerV2.ManagerService;
server.addService(
  { listSchedulers: { ...listSchedulers, requestDeserialize: asItIs, responseSerialize: asItIs } },
  { listSchedulers: (_call: unknown, callback: (error: null, bytes: Buffer) => void) => callback(null, answer) },
);
process.on('message', (base64: string) => {
  answer = Buffer.from(base64, 'base64');
  process.send?.('set');
});
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send?.(port);
});
