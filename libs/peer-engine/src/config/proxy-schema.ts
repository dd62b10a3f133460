import { byteSize } from '@dragonfly/config';
import { z } from 'zod';
import { listener, positiveInteger } from './sections.js';

const regularExpression = z.string().refine(isRegularExpression, 'must be a regular expression');

const credential = z.string().min(1, 'must have 1 to 20 characters').max(20, 'must have 1 to 20 characters');

/** Section `proxy`: read and checked so that existing files work; the proxy itself does not run in this version. */
export const proxySchema = z
  .object({
    server: z
      .object({
        ...listener({ port: 4001 }),
        requestRateLimit: positiveInteger().default(4000),
        caCert: z.string().nullish(),
        caKey: z.string().nullish(),
        basicAuth: z.object({ username: credential, password: credential }).nullish(),
      })
      .prefault({}),
    rules: z
      .array(
        z.object({
          regex: regularExpression.default('.*'),
          useTLS: z.boolean().default(false),
          redirect: z.string().nullish(),
          filteredQueryParams: z.array(z.string()).optional(),
          schedulingPolicy: z.enum(['auto', 'always']).default('auto'),
        }),
      )
      .nullish(),
    registryMirror: z
      .object({
        addr: z.url('must be a URL').default('https://index.docker.io'),
        cert: z.string().nullish(),
        enableTaskIDBasedBlobDigest: z.boolean().default(true),
      })
      .prefault({}),
    disableBackToSource: z.boolean().default(false),
    prefetch: z.boolean().default(false),
    prefetchBandwidthLimit: byteSize().prefault('10GB'),
    readBufferSize: byteSize().prefault(2 * 1024 * 1024),
  })
  .prefault({});

function isRegularExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
