import { PeerEntity, insertRow } from '@dragonfly/persistence';
import { DatabaseJobQueue } from '@dragonfly/jobs';
import { silentLogger } from '@dragonfly/telemetry';
import { waitFor } from '@dragonfly/testkit';
import { aDatabase } from '../../test/sqlite-database.js';
import { JobQueues } from '../jobs/job-parts.js';
import { PeerSightings } from './peer-sightings.js';

it('a daemon that is not in the table of peers makes one sync come soon, a known one none', async () => {
  const database = await aDatabase();
  const queue = new DatabaseJobQueue({ database, name: 'periodic', isSoleProcess: true });
  // 10 s before the end of a window of 30 s.
  const now = new Date('2026-01-01T00:00:20Z');
  const queues = new JobQueues(queue, queue, queue);
  const sightings = new PeerSightings(database, queues, { now: () => now }, silentLogger());
  const id = `sync-peers-sighted-${Math.ceil((now.getTime() + 10_000) / 30_000)}`;
  await database.transaction((manager) =>
    insertRow(manager, PeerEntity, now, {
      hostName: 'known',
      ip: '10.0.0.1',
      port: 1,
      downloadPort: 1,
      proxyPort: 1,
      state: 'active',
      schedulerClusterId: 1,
    }),
  );
  sightings.note('known', '10.0.0.1');
  sightings.note('', '');
  await database.transaction(async () => undefined);
  await expect(queue.find(id)).resolves.toBeUndefined();
  for (let times = 0; times < 3; times += 1) {
    sightings.note('new', '10.0.0.2');
    sightings.note('newer', '10.0.0.3');
  }
  await expect(waitFor(() => queue.find(id), { what: 'the sync' })).resolves.toMatchObject({ kind: 'sync-peers' });
  await queue.close();
  await database.close();
});
