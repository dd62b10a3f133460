import { DfError } from '@dragonfly/errors';

/** Operating system and processor that an image is made for, in the words of the OCI image index. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** e.g. `v8`; empty when it does not matter. */
  readonly variant: string;
}

const PART = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const ARCHITECTURE_OF_NODE: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
/** Names of the same architecture. */
const ALIASES: Readonly<Record<string, Pick<Platform, 'architecture' | 'variant'>>> = {
  x86_64: { architecture: 'amd64', variant: '' },
  aarch64: { architecture: 'arm64', variant: '' },
  i386: { architecture: '386', variant: '' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
};
const OLDEST_ARM = 5;
const OLDEST_AMD64 = 1;

/** The platform of containers on this machine: containers are Linux wherever they run. */
export function hostPlatform(architecture: string): Platform {
  return { os: 'linux', architecture: ARCHITECTURE_OF_NODE[architecture] ?? architecture, variant: '' };
}

/**
 * Reads `os/architecture[/variant]`.
 * @throws DfError `invalid-argument` quoting the text
 */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant = '', ...rest] = text.toLowerCase().split('/');
  const parts = variant === '' ? [os, architecture] : [os, architecture, variant];
  if (rest.length > 0 || text.endsWith('/') || !parts.every((part) => PART.test(part))) {
    throw new DfError(
      'invalid-argument',
      `invalid platform format ${JSON.stringify(text.slice(0, 256))}: expected os/architecture[/variant]`,
    );
  }
  const alias = ALIASES[architecture];
  return normal({ os, architecture: alias?.architecture ?? architecture, variant: variant || (alias?.variant ?? '') });
}

/** `os/architecture[/variant]`, as {@link parsePlatform} reads it. */
export function formatPlatform(platform: Platform): string {
  const base = `${platform.os}/${platform.architecture}`;
  return platform.variant === '' ? base : `${base}/${platform.variant}`;
}

/**
 * How well an offered platform suits the wanted one: 0 is the same, larger is an older one that still runs there,
 * undefined does not run there. The order is the one by which container engines choose.
 */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  const other = normal(offered);
  const rank = runnableOn(normal(wanted)).findIndex(
    (candidate) =>
      candidate.os === other.os && candidate.architecture === other.architecture && candidate.variant === other.variant,
  );
  return rank < 0 ? undefined : rank;
}

/** Makes the default variants explicit or implicit, so that equal platforms have equal fields. */
function normal(platform: Platform): Platform {
  const { os, architecture, variant } = platform;
  if (architecture === 'arm64' && (variant === 'v8' || variant === '8')) return { os, architecture, variant: '' };
  if (architecture === 'amd64' && variant === 'v1') return { os, architecture, variant: '' };
  if (architecture === 'arm' && variant === '') return { os, architecture, variant: 'v7' };
  if (architecture === 'arm' && /^\d$/.test(variant)) return { os, architecture, variant: `v${variant}` };
  return platform;
}

/** What runs on a (normal) platform, best first. */
function runnableOn(platform: Platform): Platform[] {
  const { os, architecture, variant } = platform;
  const level = /^v(\d)$/.exec(variant)?.[1];
  switch (architecture) {
    case 'amd64': {
      const levels = olderVariants(os, 'amd64', Number(level ?? OLDEST_AMD64), OLDEST_AMD64);
      return [...levels, { os, architecture: '386', variant: '' }];
    }
    case 'arm64':
      return [
        platform,
        ...(level === undefined ? [] : [{ os, architecture, variant: '' }]),
        ...olderVariants(os, 'arm', 8, OLDEST_ARM),
      ];
    case 'arm':
      return level === undefined ? [platform] : olderVariants(os, 'arm', Number(level), OLDEST_ARM);
    default:
      return [platform];
  }
}

function olderVariants(os: string, architecture: string, newest: number, oldest: number): Platform[] {
  const variants: Platform[] = [];
  for (let level = newest; level >= oldest; level--) {
    variants.push(normal({ os, architecture, variant: `v${level}` }));
  }
  return variants;
}
