import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { candidateSockets, socketsOf, socketsToStart } from './sockets.js';

const SYSTEM = '/var/run/dragonfly/dfdaemon.sock';

describe('sockets', () => {
  let directory: TempDir;
  beforeEach(() => {
    directory = tempDir('sockets');
  });
  afterEach(() => directory.remove());

  it.each([
    ['/r/dfdaemon.sock', '/r/dfdaemon.sock', '/r/dfdaemon.light.sock'],
    ['/r/dfdaemon.light.sock', '/r/dfdaemon.sock', '/r/dfdaemon.light.sock'],
    ['/r/daemon', '/r/daemon', '/r/daemon.light'],
  ])('the pair of %s', (given, grpcPath, lightPath) => {
    expect(socketsOf(given)).toEqual({ grpcPath, lightPath });
  });

  const uid = process.getuid?.() ?? 0;
  const grpcPaths = (choice: Partial<Parameters<typeof candidateSockets>[0]>): string[] =>
    candidateSockets({ endpoint: undefined, workHome: undefined, env: {}, uid, ...choice }).map(
      ({ grpcPath }) => grpcPath,
    );

  it('a given endpoint is the only one', () => {
    expect(grpcPaths({ endpoint: '/a.sock', workHome: '/w', env: { DRAGONFLY_HOME: directory.path } })).toEqual([
      '/a.sock',
    ]);
  });

  it('the recorded one of a cluster goes before the one of the machine', () => {
    writeFileSync(directory.file('socket'), '/run/cluster/dfdaemon.sock\n');
    expect(grpcPaths({ env: { DRAGONFLY_HOME: directory.path } }).slice(0, 2)).toEqual([
      '/run/cluster/dfdaemon.sock',
      SYSTEM,
    ]);
  });

  it.each(['', 'relative/path\n'])('a record that holds %j is passed over', (text) => {
    writeFileSync(directory.file('socket'), text);
    expect(grpcPaths({ env: { DRAGONFLY_HOME: directory.path } })[0]).toBe(SYSTEM);
  });

  it('a user has one of his own, after the one of the machine', () => {
    mkdirSync(directory.file('dragonfly'));
    chmodSync(directory.file('dragonfly'), 0o700);
    const choice = { env: { XDG_RUNTIME_DIR: directory.path }, uid: uid === 0 ? 4711 : uid };
    const own = directory.file('dragonfly', 'dfdaemon.sock');
    // The directory belongs to root or to this user.
    expect(grpcPaths(choice)).toEqual([SYSTEM, own]);
    expect(socketsToStart({ endpoint: undefined, workHome: undefined, ...choice }).grpcPath).toBe(own);
  });

  it('a place that does not exist, or belongs to somebody else, is not looked at', () => {
    expect(grpcPaths({ env: { XDG_RUNTIME_DIR: directory.file('missing') }, uid: 4711 })).toEqual([SYSTEM]);
    if (uid !== 0) return;
    expect(grpcPaths({ env: { XDG_RUNTIME_DIR: '/tmp' }, uid: 4711 })).toEqual([SYSTEM]);
  });

  it('a work directory brings its own', () => {
    expect(grpcPaths({ workHome: '/w' })[0]).toBe('/w/dfdaemon.sock');
    expect(socketsToStart({ endpoint: undefined, workHome: '/w', env: {}, uid }).lightPath).toBe(
      '/w/dfdaemon.light.sock',
    );
  });
});
