/**
 * The next page of a list, as a `Link` header with `rel=next` names it (RFC 8288; registries and model hubs page so).
 * @param link the header, absent on the last page
 * @param base URL that a relative target is resolved by
 * @returns undefined when there is none, or when it lies at another origin than `base`: credentials go with the request
 */
export function nextPage(link: string | undefined, base: string): string | undefined {
  const target = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
  const url = target === undefined ? null : URL.parse(target, base);
  return url?.origin === new URL(base).origin ? url.href : undefined;
}
