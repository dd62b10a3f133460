import { z } from 'zod';

/** The manager's join port where nothing else is said. */
export const DEFAULT_JOIN_PORT = 65_009;

/**
 * The section `security` of services that take their certificates from the manager. Only `enable` is the original's; a file
 * that has nothing else of it says nothing about certificates of ours.
 */
export function securitySection() {
  return z
    .object({
      enable: z.boolean().default(false).describe('mTLS on every gRPC link, with certificates of the manager'),
      joinToken: z.string().default('').describe('given out by the manager; needed until there is a certificate'),
      joinTokenFile: z.string().default('').describe('file that holds the join token'),
      joinAddr: z.string().default('').describe(`host:port; default: the manager's host, port ${DEFAULT_JOIN_PORT}`),
      directory: z.string().default('').describe('where key and certificates are kept'),
    })
    .prefault({});
}

export type SecuritySection = z.output<ReturnType<typeof securitySection>>;
