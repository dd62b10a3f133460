/**
 * Makes the files in `recorded/`: what programs of the real client say to our services and to each other, on the wire.
 *
 * `DRAGONFLY_REAL_BIN=DIRECTORY pnpm --filter @dragonfly/compat record`. Run it when a new release of the real client is to
 * be followed, and read the differences before committing them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname, networkInterfaces, release } from 'node:os';
import path from 'node:path';
import { Content } from '@dragonfly/testkit';
import { CompatCluster } from '../cluster.js';
import { runCommand } from '../command.js';
import type { Daemon } from '../daemon.js';
import { LoopbackNetwork } from '../loopback.js';
import { realProgram } from '../real-programs.js';
import { GrpcRecorder } from './grpc-recorder.js';
import { RECORDED_DIRECTORY, RECORDED_FILE, RECORDED_SMALL_FILE, RECORDED_TASK_TEXT } from './recorded-files.js';
import { SessionRecorder } from './session-recorder.js';
import { VortexRecorder } from './vortex-recorder.js';

/** Of the addresses in the recordings; nothing else uses them. */
const NETWORK = '127.98.7';
const SESSION_TIMEOUT_MS = 120_000;

const HEADER = `# Recorded by test/compat/src/recording/record.ts: programs of Dragonfly's Rust client 1.5.10 with the manager and the
# scheduler of this repository. All addresses are of 127.98.7.0/24; the kernel's release, the host's name and address and the
# temporary directory are replaced by texts of the same length. The form is told in test/compat/src/recording/session.ts;
# each message stands after a comment that shows it decoded.
`;

it(
  'records',
  async () => {
    const texts = machineTexts();
    const sessions = new Map<string, SessionRecorder>();
    const session = (name: string): SessionRecorder => {
      const recorder = sessions.get(name) ?? new SessionRecorder(texts);
      sessions.set(name, recorder);
      return recorder;
    };
    const recorders: { close(): Promise<void> }[] = [];
    const network = new LoopbackNetwork(NETWORK);
    const fronts = new Map<string, Promise<string>>();
    const putInFront = async (program: string, ip: string): Promise<string> => {
      const host = network.next();
      const at = (address: string, port: number): { host: string; port: number } => ({ host: address, port });
      if (program === 'manager') {
        recorders.push(await GrpcRecorder.start(at(host, 65003), at(ip, 65003), session('manager')));
      } else if (program === 'scheduler') {
        recorders.push(await GrpcRecorder.start(at(host, 8002), at(ip, 8002), session('scheduler')));
      } else {
        recorders.push(await GrpcRecorder.start(at(host, 4000), at(ip, 4000), session('parent')));
        recorders.push(await VortexRecorder.start(at(host, 4005), at(ip, 4005), session('parent')));
      }
      return host;
    };
    const cluster = await CompatCluster.start({
      network,
      inFront: (program, ip) => {
        const front = fronts.get(program) ?? putInFront(program, ip);
        fronts.set(program, front);
        return front;
      },
    });
    try {
      const directory = path.dirname(cluster.newOutput());
      texts.set(
        path.basename(directory),
        'recorded-directory'.slice(0, path.basename(directory).length).padEnd(path.basename(directory).length, '-'),
      );
      const parent = await cluster.addDaemon({ maker: 'real', isSeed: false });
      const child = await cluster.addDaemon({ maker: 'real', isSeed: false });

      // Two pieces: the parent fetches them from the source, the child from the parent.
      const url = cluster.origin.put('/recorded.bin', new Content(RECORDED_FILE.lengthBytes, RECORDED_FILE.seed));
      const flags = ['--content-for-calculating-task-id', RECORDED_TASK_TEXT, '--scheduling-policy', 'always'];
      for (const daemon of [parent, child]) {
        expect(await cluster.realDfget(daemon, url, ...flags)).toMatchObject({ status: 0 });
      }

      await recordDfget(cluster, parent, session('dfget'), recorders);
      for (const daemon of [child, parent]) await daemon.stop();
    } finally {
      for (const recorder of recorders) await recorder.close();
      await cluster.stop();
      // Also what there is of a recording that failed: it shows why.
      mkdirSync(RECORDED_DIRECTORY, { recursive: true });
      for (const [name, recorder] of sessions) {
        writeFileSync(path.join(RECORDED_DIRECTORY, `${name}.session`), HEADER + recorder.text());
      }
    }
  },
  SESSION_TIMEOUT_MS,
);

/** The real dfget and dfctl at the socket of a real daemon. */
async function recordDfget(
  cluster: CompatCluster,
  daemon: Daemon,
  session: SessionRecorder,
  recorders: { close(): Promise<void> }[],
): Promise<void> {
  const socket = `${path.dirname(cluster.newOutput())}/recorded.sock`;
  recorders.push(await GrpcRecorder.start({ path: socket }, { path: daemon.socket }, session));
  const small = new Content(RECORDED_SMALL_FILE.lengthBytes, RECORDED_SMALL_FILE.seed);
  const url = cluster.origin.put('/small.bin', small);
  const dfget = async (of: string, ...flags: string[]): Promise<number> => {
    const output = cluster.newOutput();
    const args = [of, '--output', output, '--endpoint', socket, '--no-progress', ...flags];
    return (await runCommand(realProgram('dfget'), args)).status;
  };
  expect(await dfget(url, '--digest', `sha256:${small.sha256()}`, '-H', 'X-Recorded: yes', '--tag', 'recorded')).toBe(
    0,
  );
  expect(await dfget(url, '--transfer-from-dfdaemon', '--tag', 'recorded')).toBe(0);
  expect(await dfget(cluster.origin.url('/missing.bin'))).toBe(1);
  const tasks = await daemon.localTasks();
  const taskId = tasks.find(({ contentLength }) => Number(contentLength) === small.lengthBytes)?.taskId ?? '';
  for (const words of [['ls'], ['rm', taskId]]) {
    const { status } = await runCommand(realProgram('dfctl'), ['task', ...words, '--endpoint', socket]);
    expect({ words, status }).toEqual({ words, status: 0 });
  }
}

/** What tells of this machine, and what stands for it: of the same length, so that nothing else in the bytes changes. */
function machineTexts(): Map<string, string> {
  const texts = new Map<string, string>([
    [release(), '6.0.0'.slice(0, release().length).padEnd(release().length, '0')],
    [hostname(), 'h'.repeat(hostname().length)],
  ]);
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of entries ?? []) {
      if (family === 'IPv4' && !internal) texts.set(address, address.replaceAll(/\d/g, '1'));
    }
  }
  return texts;
}
