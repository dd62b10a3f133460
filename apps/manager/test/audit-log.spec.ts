import { setImmediate } from 'node:timers/promises';
import { AuditEntity, type Database } from '@dragonfly/persistence';
import { silentLogger } from '@dragonfly/telemetry';
import { jest } from '@jest/globals';
import { AuditLog, type AuditEntry } from '../src/audit/audit-log.js';
import { SystemClock } from '../src/clock.js';
import { aDatabase } from './sqlite-database.js';

const entry: AuditEntry = {
  actor: { type: 'USER', name: 'root' },
  method: 'GET',
  path: '/api/v1/users',
  statusCode: 200,
  detail: { ip: '127.0.0.1' },
};

describe('audit log under load', () => {
  let database: Database;
  const log = silentLogger();
  const warn = jest.spyOn(log, 'warn');

  beforeEach(async () => {
    database = await aDatabase();
    warn.mockClear();
  });
  afterEach(() => database.close());

  it('writes more entries than may wait, when they come faster than its interval', async () => {
    const audit = new AuditLog(database, new SystemClock(), log);
    for (let turn = 0; turn < 300; turn += 1) {
      for (let n = 0; n < 50; n += 1) audit.record(entry);
      await setImmediate();
    }
    await audit.onApplicationShutdown();
    expect(await database.manager.count(AuditEntity)).toBe(15_000);
    expect(warn).not.toHaveBeenCalled();
  });

  it('does not try again with each entry while the database is away', async () => {
    let isAway = true;
    let tries = 0;
    const failing = {
      transaction: async (run: (manager: unknown) => Promise<unknown>) => {
        tries += 1;
        if (isAway) throw new Error('the database is away');
        return database.transaction(run);
      },
    };
    const audit = new AuditLog(failing as unknown as Database, new SystemClock(), log);
    for (let turn = 0; turn < 40; turn += 1) {
      for (let n = 0; n < 50; n += 1) audit.record(entry);
      await setImmediate();
    }
    expect(tries).toBe(1);
    isAway = false;
    await audit.flush();
    expect(await database.manager.count(AuditEntity)).toBe(2_000);
    await audit.onApplicationShutdown();
  });
});
