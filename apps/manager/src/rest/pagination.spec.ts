import { z } from 'zod';
import { linkHeader, pageFields, pageOf, rowsOf } from './pagination.js';

describe('Link header', () => {
  it('has the four relations of the original in its form', () => {
    expect(linkHeader('/api/v1/clusters?page=2&per_page=3', { page: 2, perPage: 3 }, 8)).toBe(
      '</api/v1/clusters?page=1&per_page=3>;rel=prev,' +
        '</api/v1/clusters?page=3&per_page=3>;rel=next,' +
        '</api/v1/clusters?page=1&per_page=3>;rel=first,' +
        '</api/v1/clusters?page=3&per_page=3>;rel=last',
    );
  });

  it('keeps the other parameters, sorted and with plus for blanks', () => {
    const link = linkHeader('/api/v1/schedulers?state=active&host_name=a+b&page=1', { page: 1, perPage: 10 }, 1);
    expect(link.split(',')[3]).toBe('</api/v1/schedulers?host_name=a+b&page=1&per_page=10&state=active>;rel=last');
  });

  const pagesOf = (page: number, total: number): number[] =>
    linkHeader('/x', { page, perPage: 10 }, total)
      .split(',')
      .map((link) => Number(/page=(\d+)/.exec(link)?.[1]));

  it.each([
    ['first of three', 1, 25, [1, 2, 1, 3]],
    ['last of three', 3, 25, [2, 3, 1, 3]],
    ['the only page', 1, 10, [1, 1, 1, 1]],
    ['nothing at all', 1, 0, [1, 2, 1, 0]],
    ['beyond the end', 9, 25, [8, 10, 1, 3]],
  ])('%s', (_name, page, total, expected) => {
    expect(pagesOf(page, total)).toEqual(expected);
  });
});

describe('page parameters', () => {
  const schema = z.object(pageFields);

  it('takes absent, empty and 0 as the default', () => {
    for (const query of [{}, { page: '', per_page: '' }, { page: '0', per_page: '0' }]) {
      expect(pageOf(schema.parse(query))).toEqual({ page: 1, perPage: 10 });
    }
    expect(rowsOf({ page: 3, perPage: 7 })).toEqual({ skip: 14, take: 7 });
  });

  it('stays within what a database takes as an offset', () => {
    expect(rowsOf({ page: 999_999_999_999_999, perPage: 10_000_000 }).skip).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([[{ page: '-1' }], [{ page: 'x' }], [{ page: '1.5' }], [{ per_page: '10000001' }]])('refuses %j', (query) => {
    expect(schema.safeParse(query).success).toBe(false);
  });
});
