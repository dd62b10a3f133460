import path from 'node:path';
import { sha256OfFile, type Content } from '@dragonfly/testkit';
import { besideOutput, type Download } from './chaos-cluster.js';

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
