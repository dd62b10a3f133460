import { DfError } from '@dragonfly/errors';
import { dfdaemonV2 } from '@dragonfly/proto';
import { GrpcServer, handleServerStream, type ServerStream } from '../src/index.js';
import { CapturedLog, CleanUp, RawCall } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

const SYNC_PIECES = '/dfdaemon.v2.DfdaemonUpload/SyncPieces';
const LONG_MS = 60_000;
const request = dfdaemonV2.SyncPiecesRequest.encode(
  dfdaemonV2.SyncPiecesRequest.create({ hostId: 'h', taskId: 't', interestedPieceNumbers: [1] }),
).finish();

type SyncPieces = (
  request: dfdaemonV2.SyncPiecesRequest,
  stream: ServerStream<dfdaemonV2.SyncPiecesResponse>,
) => Promise<void>;

async function call(syncPieces: SyncPieces, headersWithinMs: number): Promise<RawCall> {
  const log = new CapturedLog();
  const server = await GrpcServer.start({
    services: [
      {
        service: dfdaemonV2.DfdaemonUploadService,
        implementation: { syncPieces: handleServerStream(syncPieces, log, { headersWithinMs }) },
      },
    ],
    addresses: ['127.0.0.1:0'],
    log,
  });
  cleanUp.add(() => server.stop(0));
  return new RawCall(server.ports[0] ?? 0, SYNC_PIECES, {}).send(request).halfClose();
}

const failing: SyncPieces = async () => {
  throw new DfError('not-found', 'no such task');
};

it('ends a call that fails before the first message without response headers', async () => {
  const stream = await call(failing, LONG_MS);
  expect(await stream.ended()).toBe(5);
  expect(stream.hasStatusOnly).toBe(true);
});

it('sends response headers first where none are asked to be late', async () => {
  const stream = await call(failing, 0);
  expect(await stream.ended()).toBe(5);
  expect(stream.hasStatusOnly).toBe(false);
});

it('sends late headers with the first message', async () => {
  const stream = await call(async (_request, answers) => {
    await answers.sendWhenWritable({ number: 1 });
    throw new DfError('not-found', 'no more pieces');
  }, LONG_MS);
  expect(await stream.ended()).toBe(5);
  expect(stream.hasStatusOnly).toBe(false);
});

it('sends late headers when the time is over', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  cleanUp.add(() => resolve(undefined));
  const stream = await call(async () => promise, 20);
  await stream.opened(); // would wait for ever otherwise
  expect(stream.hasStatusOnly).toBe(false);
});
