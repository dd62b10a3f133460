import { queryInteger } from './rest-schema.js';

const DEFAULT_PER_PAGE = 10;
const MAX_PER_PAGE = 10_000_000;

/** Query parameters of every list. */
export const pageFields = {
  page: queryInteger({ min: 1 }),
  per_page: queryInteger({ min: 1, max: MAX_PER_PAGE }),
};

export interface Page {
  /** From 1. */
  readonly page: number;
  readonly perPage: number;
}

/** 0 and an absent value mean the default. */
export function pageOf(query: { page?: number; per_page?: number }): Page {
  return { page: query.page || 1, perPage: query.per_page || DEFAULT_PER_PAGE };
}

/** Rows of one page, in SQL terms. A page beyond every number that a database takes as an offset is simply empty. */
export function rowsOf(page: Page): { skip: number; take: number } {
  return { skip: Math.min(Number.MAX_SAFE_INTEGER, (page.page - 1) * page.perPage), take: page.perPage };
}

/**
 * The `Link` header of a list: prev, next, first and last, each the request's own path and query with the page set.
 * Without rows, last is 0. Form (no blanks, rel without quotes, sorted keys) as clients of the original parse it.
 */
export function linkHeader(requestUrl: string, { page, perPage }: Page, total: number): string {
  const last = Math.ceil(total / perPage);
  const pages = { prev: Math.max(1, page - 1), next: page === last ? page : page + 1, first: 1, last };
  const { pathname, searchParams } = new URL(requestUrl, 'http://manager');
  return Object.entries(pages)
    .map(([rel, target]) => {
      const query = new URLSearchParams(searchParams);
      query.set('page', String(target));
      query.set('per_page', String(perPage));
      query.sort();
      return `<${pathname}?${query.toString()}>;rel=${rel}`;
    })
    .join(',');
}
