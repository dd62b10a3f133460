/** A URL for a log: its query (signed URLs) and its credentials may be secrets and are left out. */
export function loggableUrl(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
}
