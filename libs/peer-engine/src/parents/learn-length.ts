import type { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { hostPort, type SharedClient, type SharedClients, unary } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { sleep } from '../backoff.js';

const CALL_DEADLINE_MS = 5000;
/** How often parents are asked. */
const POLL_INTERVAL_MS = 500;

export interface LearnLengthOptions {
  readonly connections: SharedClients<dfdaemonV2.DfdaemonUploadClient>;
  readonly candidates: readonly commonV2.Peer[];
  readonly taskId: string;
  /** Longest time without an answer of any parent. */
  readonly patienceMs: number;
  readonly log: Logger;
}

/**
 * Asks the parents of a content of unknown length until one of them has read it to the end and knows.
 * @returns undefined when no parent can be reached any more, or none has learnt it in time
 */
export async function learnLength(options: LearnLengthOptions, signal: AbortSignal): Promise<number | undefined> {
  const deadline = performance.now() + options.patienceMs;
  for (;;) {
    const answers = await Promise.all(options.candidates.map((candidate) => ask(candidate, options, signal)));
    signal.throwIfAborted();
    const known = answers.find((answer) => typeof answer === 'number');
    if (typeof known === 'number') return known;
    if (!answers.includes('unknown-yet') || performance.now() > deadline) return undefined;
    if (!(await sleep(POLL_INTERVAL_MS, signal))) signal.throwIfAborted();
  }
}

async function ask(
  { host }: commonV2.Peer,
  { connections, taskId, log }: LearnLengthOptions,
  signal: AbortSignal,
): Promise<number | 'unknown-yet' | 'gone'> {
  if (host === undefined) return 'gone';
  let connection: SharedClient<dfdaemonV2.DfdaemonUploadClient> | undefined;
  try {
    connection = connections.acquire(hostPort(host.ip, host.port));
    const { client } = connection;
    const answer = await unary<dfdaemonV2.StatLocalTaskRequest, dfdaemonV2.StatLocalTaskResponse>(
      client.statLocalTask.bind(client),
      { taskId },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
    return answer.contentLength === undefined ? 'unknown-yet' : Number(answer.contentLength);
  } catch (error) {
    log.debug({ parent: host.id, err: error }, 'a parent does not tell the content length');
    return 'gone';
  } finally {
    connection?.release();
  }
}
