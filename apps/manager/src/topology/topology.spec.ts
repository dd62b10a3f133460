import { setImmediate as nextTurn } from 'node:timers/promises';
import { insertRow, SeedPeerClusterEntity } from '@dragonfly/persistence';
import { aDatabase } from '../../test/sqlite-database.js';
import { loadTopology } from './topology.js';

it('shows nothing of a transaction that is taken back', async () => {
  const database = await aDatabase();
  const inserted = Promise.withResolvers<void>();
  const conflict = Promise.withResolvers<never>();
  const writing = database.transaction(async (manager) => {
    await insertRow(manager, SeedPeerClusterEntity, new Date(), { name: 'half', bio: '', config: {} });
    inserted.resolve();
    await conflict.promise;
  });
  await inserted.promise;
  const loading = loadTopology(database);
  await nextTurn();
  conflict.reject(new Error('the rest could not be written'));
  await expect(writing).rejects.toThrow('the rest');
  expect([...(await loading).seedPeerClusters.keys()]).toEqual([1]);
  await database.close();
});
