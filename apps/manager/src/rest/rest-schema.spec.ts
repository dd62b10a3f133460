import { z } from 'zod';
import {
  optionalInteger,
  optionalList,
  optionalObject,
  optionalText,
  queryId,
  queryInteger,
  requestType,
  requiredInteger,
  requiredObject,
  requiredText,
  violationText,
  withRequired,
  type RequestType,
} from './rest-schema.js';

const Thing = requestType(
  'CreateThingRequest',
  z.object({
    name: requiredText({ min: 3, max: 5 }),
    type: optionalText({ oneOf: ['super'] }),
    mail: optionalText({ format: 'email' }),
    redirect_url: optionalText({ format: 'url' }),
    seed_peer_cluster_id: requiredInteger({ min: 2 }),
    config: requiredObject({
      load_limit: optionalInteger({ min: 10, max: 20 }),
      ids: optionalList(z.int(), { min: 1, max: 3 }),
    }),
    scopes: optionalObject({ idc: optionalText() }),
  }),
);
const GOOD = { name: 'abc', seed_peer_cluster_id: 2, config: {} };

function textOf(type: RequestType, value: unknown): string {
  const parsed = type.schema.safeParse(value);
  return parsed.success ? 'valid' : violationText(type.name, parsed.error.issues);
}

const violation = (path: string, tag: string): string =>
  `Key: 'CreateThingRequest.${path}' Error:Field validation for '${path.split('.').at(-1)}' failed on the '${tag}' tag`;

describe('request rules', () => {
  it.each<[string, object, string]>([
    ['nothing wrong', {}, 'valid'],
    ['required text left out', { name: undefined }, violation('Name', 'required')],
    ['required text empty', { name: '' }, violation('Name', 'required')],
    ['required text null', { name: null }, violation('Name', 'required')],
    ['text too short', { name: 'ab' }, violation('Name', 'min')],
    ['text too long', { name: 'abcdef' }, violation('Name', 'max')],
    ['length counted in characters', { name: 'äöüßé' }, 'valid'],
    ['not one of', { type: 'strong' }, violation('Type', 'oneof')],
    ['empty optional text', { type: '' }, 'valid'],
    ['not a mail address', { mail: 'x' }, violation('Mail', 'email')],
    ['not a URL', { redirect_url: 'x' }, violation('RedirectURL', 'url')],
    ['id 0', { seed_peer_cluster_id: 0 }, violation('SeedPeerClusterID', 'required')],
    ['required object left out', { config: undefined }, violation('Config', 'required')],
    ['nested number too small', { config: { load_limit: 9 } }, violation('Config.LoadLimit', 'gte')],
    ['nested number too great', { config: { load_limit: 21 } }, violation('Config.LoadLimit', 'lte')],
    ['nested 0 counts as left out', { config: { load_limit: 0 } }, 'valid'],
    ['null for optional parts', { type: null, scopes: null, config: { ids: null } }, 'valid'],
    ['a list that is long enough', { config: { ids: [1, 2, 3] } }, 'valid'],
    ['a list too long', { config: { ids: [1, 2, 3, 4] } }, violation('Config.IDs', 'lte')],
    ['a list too short', { config: { ids: [] } }, violation('Config.IDs', 'gte')],
    ['unknown keys', { more: 1, config: { more: 1 } }, 'valid'],
  ])('%s', (_name, over, expected) => {
    expect(textOf(Thing, { ...GOOD, ...over })).toBe(expected);
  });

  it('names every violation, one a line', () => {
    expect(textOf(Thing, { config: {} }).split('\n')).toEqual([
      violation('Name', 'required'),
      violation('SeedPeerClusterID', 'required'),
    ]);
  });

  it('names a hundred violations at most, and tells how many more there are', () => {
    const Row = requestType('Row', z.object({ all: optionalList(z.int(), { max: 1_000 }) }));
    const lines = textOf(Row, { all: new Array(500).fill('x') }).split('\n');
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('and 400 more');
  });

  it('names field and type of a value of the wrong type', () => {
    expect(textOf(Thing, { ...GOOD, name: 7 })).toBe(
      'json: cannot unmarshal value into Go struct field CreateThingRequest.name of type string',
    );
  });

  it('drops keys that the request does not have', () => {
    expect(Thing.schema.parse({ ...GOOD, more: 1, config: { more: 1, load_limit: 11 } })).toEqual({
      ...GOOD,
      config: { load_limit: 11 },
    });
  });

  it('says of a query what it could not read', () => {
    const Query = requestType('Q', z.object({ id: queryId(), port: queryInteger() }));
    expect(textOf(Query, { id: 'abc' })).toBe('strconv.ParseUint: parsing "abc": invalid syntax');
    expect(textOf(Query, { id: '-1' })).toBe('strconv.ParseUint: parsing "-1": invalid syntax');
    expect(textOf(Query, { port: '1e3' })).toBe('strconv.ParseInt: parsing "1e3": invalid syntax');
    expect(Query.schema.parse({ id: '', port: '-7' })).toEqual({ port: -7 });
  });

  it('describes itself with the required properties', () => {
    const schema = withRequired(z.toJSONSchema(Thing.schema, { io: 'input', target: 'openapi-3.0' }));
    expect(schema).toMatchObject({
      required: ['name', 'seed_peer_cluster_id', 'config'],
      properties: { name: { type: 'string', minLength: 3, maxLength: 5 }, type: { enum: ['super'] } },
    });
    expect(JSON.stringify(schema)).not.toContain('x-required');
  });
});
