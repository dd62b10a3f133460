import { randomUUID } from 'node:crypto';
import { Database, type DatabaseOptions } from '@dragonfly/persistence';
import { MariaDbServer, tempDir } from '@dragonfly/testkit';
import { type BandwidthPoint, MeteringRows, type SumsOf } from '../src/metering/metering-rows.js';

const directory = tempDir('metering-rows');
const mariaDb = await MariaDbServer.startIfPresent();
if (!mariaDb) console.warn(`names of metering are not tested on MariaDB: ${MariaDbServer.missingReason}`);

afterAll(async () => {
  await mariaDb?.stop();
  directory.remove();
});

type Place = readonly [name: string, fresh: () => Promise<DatabaseOptions>];

const onMariaDb = (server: MariaDbServer): Place => [
  'MariaDB',
  async () => {
    const database = `m_${randomUUID().replaceAll('-', '')}`;
    await server.createDatabase(database);
    return { type: 'mariadb', host: '127.0.0.1', port: server.port, user: 'root', password: '', database };
  },
];

const places: readonly Place[] = [
  ['SQLite', async () => ({ type: 'sqlite', path: directory.file('manager.db') })],
  ...(mariaDb ? [onMariaDb(mariaDb)] : []),
];

const OF: SumsOf = { schedulerId: 1, clusterId: 1, grouping: 'application' };

function pointOf(name: string): BandwidthPoint {
  return {
    name,
    beginsAt: 300,
    downloads: 1,
    failures: 0,
    bytesFromSource: 10,
    bytesFromPeers: 20,
    bytesFromSeeds: 30,
    bytesAcrossIdcs: 5,
  };
}

describe.each(places)('what was transferred, on %s', (_name, fresh) => {
  let database: Database;

  afterEach(() => database.close());

  it('is kept of groups whose names are one for the database', async () => {
    database = await Database.open(await fresh());
    await database.migrate();
    const rows = new MeteringRows(database);
    // Case, accents, a space at the end, a character that is not seen: clients choose these names.
    const names = ['cafe', 'Cafe', 'café', 'cafe ', 'ca\u{200b}fe', 'other'];
    await rows.replace(OF, 300, 0, names.map(pointOf));
    await rows.rollUp(OF, 600);

    for (const resolutionS of [300, 3_600]) {
      const series = await rows.series({ clusterId: 1, grouping: 'application', resolutionS, fromS: 0, untilS: 3_600 });
      const sum = (of: (point: BandwidthPoint) => number): number => series.reduce((all, one) => all + of(one), 0);
      expect(sum((point) => point.downloads)).toBe(names.length);
      expect(sum((point) => point.bytesFromSeeds)).toBe(30 * names.length);
      expect(series.find(({ name }) => name === 'other')).toMatchObject({ downloads: 1, bytesFromPeers: 20 });
    }
  });
});
