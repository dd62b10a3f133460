import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const notFound = { status: 404, body: { message: 'record not found' } };

describe.each(engines)('numbers and paths on $name', ({ freshDatabase }) => {
  let manager: RunningManager;

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
  });
  afterAll(() => manager.stop());

  it.each(['1000000000000000', '9007199254740993', '18446744073709551615'])(
    'an id that no row has is not found, however long it is: %s',
    async (id) => {
      for (const resource of ['clusters', 'scheduler-clusters', 'peers', 'jobs', 'users', 'tenants']) {
        expect([resource, await manager.request('GET', `/api/v1/${resource}/${id}`)]).toMatchObject([
          resource,
          notFound,
        ]);
      }
      expect(await manager.request('DELETE', `/api/v1/configs/${id}`)).toMatchObject(notFound);
      expect(await manager.request('GET', `/api/v1/jobs?user_id=${id}`)).toMatchObject({ status: 200, body: [] });
    },
  );

  it.each([
    ['18446744073709551616', 'value out of range'],
    ['-1', 'invalid syntax'],
    ['1e3', 'invalid syntax'],
    ['0x1', 'invalid syntax'],
  ])('%s is no id', async (id, what) => {
    expect(await manager.request('GET', `/api/v1/clusters/${id}`)).toMatchObject({
      status: 422,
      body: { errors: `strconv.ParseUint: parsing "${id}": ${what}` },
    });
  });

  it.each([
    ['9223372036854775807', 200, []],
    ['9223372036854775808', 422, { errors: 'strconv.ParseInt: parsing "9223372036854775808": value out of range' }],
  ])('page %s is answered with %i', async (page, status, body) => {
    expect(await manager.request('GET', `/api/v1/users?page=${page}&per_page=10000000`)).toMatchObject({
      status,
      body,
    });
  });

  it.each(['/api/v1/roles/%zz', '/api/v1/roles/%ff', `/api/v1/roles/${'a'.repeat(5_000)}`])(
    'a path that names nothing is not found, with the usual body',
    async (path) => {
      expect(await manager.request('GET', path)).toMatchObject({ status: 404, body: { message: 'Not Found' } });
    },
  );

  it('a role whose name is longer than its column is refused everywhere', async () => {
    const role = 'r'.repeat(101);
    const refused = { status: 422, body: { errors: expect.stringContaining("'max' tag") } };
    const permission = { object: 'jobs', action: 'read' };
    const permissions = [permission];
    expect(await manager.request('POST', '/api/v1/roles', { role, permissions })).toMatchObject(refused);
    expect(await manager.request('POST', `/api/v1/roles/${role}/permissions`, permission)).toMatchObject(refused);
    expect(await manager.request('PUT', `/api/v1/users/1/roles/${role}`)).toMatchObject(refused);
  });

  it('a role that is the number of an account cannot get permissions, on any way', async () => {
    const permission = { object: 'jobs', action: 'read' };
    const refused = { status: 422, body: { errors: expect.stringContaining("'rolename' tag") } };
    expect(await manager.request('POST', '/api/v1/roles', { role: '2', permissions: [permission] })).toMatchObject(
      refused,
    );
    expect(await manager.request('POST', '/api/v1/roles/2/permissions', permission)).toMatchObject(refused);
  });

  it('a role with a long name in any script can be asked for and deleted', async () => {
    const role = '系'.repeat(90);
    const permissions = [{ object: 'jobs', action: 'read' }];
    expect(await manager.request('POST', '/api/v1/roles', { role, permissions })).toMatchObject({ status: 200 });
    expect(await manager.request('GET', `/api/v1/roles/${encodeURIComponent(role)}`)).toMatchObject({
      status: 200,
      body: [[role, 'jobs', 'read']],
    });
    expect(await manager.request('DELETE', `/api/v1/roles/${encodeURIComponent(role)}`)).toMatchObject({ status: 200 });
  });
});
