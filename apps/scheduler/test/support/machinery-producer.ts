import { randomUUID } from 'node:crypto';
import { waitFor } from '@dragonfly/testkit';
import { Redis } from 'ioredis';

/** What a task's record says. */
export interface TaskRecord {
  readonly TaskUUID: string;
  readonly TaskName: string;
  readonly State: string;
  readonly Results: readonly { readonly Type: string; readonly Value: string }[] | null;
  readonly Error: string;
  readonly CreatedAt: string;
  readonly TTL: number;
}

const TTL_SECONDS = 86_400;

/** Writes jobs into Redis as the original manager does, record by record, and reads the results as it polls them. */
export class MachineryProducer {
  readonly broker: Redis;
  readonly backend: Redis;

  constructor(port: number, databases: { readonly broker: number; readonly backend: number }) {
    const options = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
    this.broker = new Redis({ ...options, db: databases.broker });
    this.backend = new Redis({ ...options, db: databases.backend });
    // They reconnect by themselves; a command that fails says so.
    for (const redis of [this.broker, this.backend]) redis.on('error', () => undefined);
  }

  /** Group record, then PENDING task records, then the messages. */
  async send(queue: string, name: string, argument: unknown): Promise<string> {
    const { uuid, text } = await this.prepare(name, argument);
    await this.broker.rpush(queue, text);
    return uuid;
  }

  /** The same but for the push. */
  async prepare(name: string, argument: unknown): Promise<{ readonly uuid: string; readonly text: string }> {
    const uuid = `task_${randomUUID()}`;
    const groupUuid = `group_${randomUUID()}`;
    const createdAt = '2026-01-02T03:04:05.678901234Z';
    const hasGroup = name !== 'sync_peers';
    if (hasGroup) {
      const group = {
        GroupUUID: groupUuid,
        TaskUUIDs: [uuid],
        ChordTriggered: false,
        Lock: false,
        CreatedAt: createdAt,
        TTL: TTL_SECONDS,
      };
      await this.backend.set(groupUuid, JSON.stringify(group), 'EX', TTL_SECONDS);
    }
    const record: TaskRecord = {
      TaskUUID: uuid,
      TaskName: name,
      State: 'PENDING',
      Results: null,
      Error: '',
      CreatedAt: createdAt,
      TTL: TTL_SECONDS,
    };
    await this.backend.set(uuid, JSON.stringify(record), 'EX', 1_000);
    const text = JSON.stringify({
      UUID: uuid,
      Name: name,
      RoutingKey: '',
      ETA: null,
      // Not the group that was stored: the library makes one up, and consumers ignore it.
      GroupUUID: hasGroup ? `group_${randomUUID()}` : '',
      GroupTaskCount: hasGroup ? 1 : 0,
      Args: argument === undefined ? null : [{ Name: '', Type: 'string', Value: JSON.stringify(argument) }],
      Headers: {},
      Priority: 0,
      Immutable: false,
      RetryCount: 0,
      RetryTimeout: 0,
      OnSuccess: null,
      OnError: null,
      ChordCallback: null,
      BrokerMessageGroupId: '',
      SQSReceiptHandle: '',
      StopTaskDeletionOnError: false,
      IgnoreWhenTaskNotRegistered: false,
    });
    return { uuid, text };
  }

  async record(uuid: string): Promise<TaskRecord | undefined> {
    const text = await this.backend.get(uuid);
    return text === null ? undefined : (JSON.parse(text) as TaskRecord);
  }

  /** Waits for a state, and reads the record. */
  async until(uuid: string, ...states: readonly string[]): Promise<TaskRecord> {
    return waitFor(
      async () => {
        const record = await this.record(uuid);
        return record !== undefined && states.includes(record.State) ? record : undefined;
      },
      { what: `task to be ${states.join(' or ')}`, timeoutMs: 30_000 },
    );
  }

  /** The decoded result of a task that must succeed. */
  async result(uuid: string): Promise<unknown> {
    const { State, Results, Error: error } = await this.until(uuid, 'SUCCESS', 'FAILURE');
    if (State !== 'SUCCESS') throw new Error(`task failed: ${error}`);
    return JSON.parse(Results?.[0]?.Value ?? '');
  }

  close(): void {
    this.broker.disconnect();
    this.backend.disconnect();
  }
}
