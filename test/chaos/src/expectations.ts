import path from 'node:path';
import { sha256OfFile, type Content, type OriginRequest } from '@dragonfly/testkit';
import { besideOutput, type Download, type DownloadReport } from './chaos-cluster.js';
import { PIECE_BYTES } from './slow-files.js';

/** The download succeeded, with the right bytes, and left nothing but its file. */
export async function expectRight(download: Download, content: Content): Promise<void> {
  expect({ status: download.status, output: download.stdout + download.stderr }).toEqual({
    status: 0,
    output: expect.any(String) as string,
  });
  expect(await sha256OfFile(download.output)).toBe(content.sha256());
  expect(besideOutput(download)).toEqual([path.basename(download.output)]);
}

/** The download failed with status 1 and a text for people, and left nothing at all. */
export function expectClearFailure(download: Download, text: RegExp): void {
  expect({ status: download.status, stderr: download.stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(text) as string,
  });
  expect(download.stderr).not.toMatch(/\n {4}at /);
  expect(besideOutput(download)).toEqual([]);
}

/** None of the pieces in `had` was asked for by any of the requests. */
export function expectNoneAgain(requests: readonly OriginRequest[], had: readonly number[]): void {
  const asked = requests.flatMap(({ method, headers }) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(String(headers.range));
    if (method === 'HEAD') return [];
    // Without a range everything is asked for.
    if (range === null) return [...had];
    const [first, last] = [Number(range[1]), Number(range[2])];
    return had.filter((number) => first < (number + 1) * PIECE_BYTES && last >= number * PIECE_BYTES);
  });
  expect(asked).toEqual([]);
}

/** Where its bytes came from. Fails when dfget wrote no report. */
export function trafficOf({ report, stderr }: Download): DownloadReport['traffic'] {
  if (report === undefined) throw new Error(`dfget left no report\n${stderr}`);
  return report.traffic;
}
