import { preheatOf20, schedulerClusterOf20, seedPeerOf20 } from './bodies-of-2-0.js';

describe('a body of 2.0.8', () => {
  it('of a scheduler cluster has its limits under their names of today', () => {
    const body = {
      name: 'c',
      config: { filter_parent_limit: 4, filter_parent_range_limit: 40 },
      client_config: { load_limit: 50, parallel_count: 4 },
    };
    expect(schedulerClusterOf20(body)).toEqual({
      name: 'c',
      config: { candidate_parent_limit: 4, filter_parent_limit: 40 },
      client_config: { load_limit: 50, parallel_count: 4 },
      seed_client_config: {},
    });
  });

  it('of a seed peer or a preheat too', () => {
    expect(seedPeerOf20({ type: 'weak', port: 1 })).toEqual({ type: 'super', port: 1 });
    expect(preheatOf20({ type: 'preheat', args: { url: 'u', filter: 'a&b' } })).toEqual({
      type: 'preheat',
      args: { url: 'u', filtered_query_params: 'a&b' },
    });
  });

  it.each([
    undefined,
    null,
    'text',
    [],
    { config: null },
    { config: { candidate_parent_limit: 3, filter_parent_limit: 15 }, seed_client_config: { block_list: {} } },
    { type: 'super' },
    { args: { filter: 1 } },
    { args: { filter: 'a', filtered_query_params: 'b' } },
  ])('is told from one of today, which stays as it is: %j', (body) => {
    expect(schedulerClusterOf20(body)).toBe(body);
    expect(seedPeerOf20(body)).toBe(body);
    expect(preheatOf20(body)).toBe(body);
  });
});
