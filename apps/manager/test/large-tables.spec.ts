import { insertRow, PeerEntity } from '@dragonfly/persistence';
import { rowsOf } from '../src/rest/pagination.js';
import { pageOfRows } from '../src/rest/resource-rows.js';
import { aDatabase } from './sqlite-database.js';

const ROWS = 6_000;

describe('pages of a large table', () => {
  it('are those of the plain way, in both orders, from the first to beyond the last', async () => {
    const database = await aDatabase();
    const now = new Date();
    await database.transaction(async (manager) => {
      for (let index = 0; index < ROWS; index += 1) {
        await insertRow(manager, PeerEntity, now, {
          hostName: `h${index}`,
          ip: '10.0.0.1',
          port: 1,
          downloadPort: 2,
          proxyPort: 3,
          state: index % 7 === 0 ? 'inactive' : 'active',
          schedulerClusterId: 1,
        });
      }
      await manager.update(PeerEntity, { hostName: 'h100' }, { isDel: 1 });
    });
    for (const order of ['oldest first', 'newest first'] as const) {
      const direction = order === 'oldest first' ? 'ASC' : 'DESC';
      for (const state of ['', 'active']) {
        const where = { isDel: 0, ...(state ? { state } : {}) };
        const total = await database.manager.countBy(PeerEntity, where);
        const last = Math.ceil(total / 50);
        for (const page of [1, 2, 60, 61, last - 1, last, last + 1, 1_000_000]) {
          const asked = { page, perPage: 50 };
          const plain = await database.manager.find(PeerEntity, { where, order: { id: direction }, ...rowsOf(asked) });
          const got = await pageOfRows(database.manager, PeerEntity, { state }, asked, {}, order);
          expect({ page, ids: got.rows.map(({ id }) => id) }).toEqual({ page, ids: plain.map(({ id }) => id) });
          expect(got.total).toBe(total);
        }
      }
    }
    await database.close();
  });
});
