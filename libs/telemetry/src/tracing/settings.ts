import { DfError } from '@dragonfly/errors';

/** The section `tracing` of the configuration, with the original's keys. */
export interface TracingSection {
  readonly protocol?: string | null;
  /** `host:port`. */
  readonly endpoint?: string | null;
  /** Of the collector, for HTTP. */
  readonly path?: string | null;
  readonly headers?: Readonly<Record<string, string>> | null;
  readonly serviceName?: string | null;
  readonly 'service-name'?: string | null;
}

/** How spans travel: OTLP over gRPC, or over HTTP as JSON or protobuf. */
export type Encoding = 'grpc' | 'http/json' | 'http/protobuf';

export interface TracingSettings {
  readonly encoding: Encoding;
  /** Undefined: the exporter reads OTEL_EXPORTER_OTLP_* itself, path rules included. */
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Name from the configuration; OTEL_SERVICE_NAME goes before it. */
  readonly serviceName: string | undefined;
  readonly sampler: SamplerSettings;
  readonly batch: BatchSettings;
}

export interface SamplerSettings {
  readonly kind: 'on' | 'off' | 'ratio';
  /** Part of the traces that is kept, 0 to 1. */
  readonly ratio: number;
  /** Whether a trace that was begun elsewhere is kept as was decided there. */
  readonly obeysParent: boolean;
}

export interface BatchSettings {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
}

const PROTOCOLS = ['grpc', 'http', 'https'] as const;
type Protocol = (typeof PROTOCOLS)[number];
const ENCODINGS: readonly Encoding[] = ['grpc', 'http/json', 'http/protobuf'];
/** What OTLP exporters use by default (OpenTelemetry protocol exporter specification). */
const DEFAULT_ENCODING: Encoding = 'http/protobuf';
const DEFAULT_PATH = '/v1/traces';

const SAMPLERS: Readonly<Record<string, Omit<SamplerSettings, 'ratio'>>> = {
  always_on: { kind: 'on', obeysParent: false },
  always_off: { kind: 'off', obeysParent: false },
  traceidratio: { kind: 'ratio', obeysParent: false },
  parentbased_always_on: { kind: 'on', obeysParent: true },
  parentbased_always_off: { kind: 'off', obeysParent: true },
  parentbased_traceidratio: { kind: 'ratio', obeysParent: true },
};

/**
 * Where spans go, by the configuration, else by the environment.
 * @returns undefined when tracing is off: neither names a collector, or OTEL_SDK_DISABLED=true, or OTEL_TRACES_EXPORTER=none
 * @throws DfError `invalid-argument` naming the key or variable
 */
export function tracingSettings(
  section: TracingSection | null | undefined,
  env: Readonly<Record<string, string | undefined>>,
): TracingSettings | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') return undefined;
  const target = targetOfSection(section) ?? targetOfEnv(env);
  if (target === undefined) return undefined;
  return {
    ...target,
    headers: { ...section?.headers },
    serviceName: section?.serviceName || section?.['service-name'] || undefined,
    sampler: samplerOf(env),
    batch: {
      maxQueueSize: numberOf(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2048),
      maxExportBatchSize: numberOf(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
      scheduledDelayMillis: numberOf(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000),
      exportTimeoutMillis: numberOf(env, 'OTEL_BSP_EXPORT_TIMEOUT', 30_000),
    },
  };
}

/** What to tell about a section that looks as if spans were exported, and they are not. */
export function tracingWarnings(section: TracingSection | null | undefined): string[] {
  const { protocol, endpoint } = section ?? {};
  if (Boolean(protocol) === Boolean(endpoint)) return [];
  const missing = protocol ? 'tracing.endpoint' : 'tracing.protocol';
  return [`tracing: no spans are exported by this section without ${missing}`];
}

type Target = Pick<TracingSettings, 'encoding' | 'url'>;

/** As in the original, nothing is exported unless both the protocol and the address are set. */
function targetOfSection(section: TracingSection | null | undefined): Target | undefined {
  const { protocol, endpoint, path } = section ?? {};
  if (!protocol || !endpoint) return undefined;
  if (!isProtocol(protocol)) {
    throw new DfError('invalid-argument', `tracing.protocol: must be one of ${PROTOCOLS.join(', ')}, is "${protocol}"`);
  }
  const scheme = /^(https?):\/\//.exec(endpoint)?.[1];
  const address = endpoint.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  if (!URL.canParse(`http://${address}`) || address.includes('/')) {
    throw new DfError('invalid-argument', `tracing.endpoint: must be host:port, is "${endpoint}"`);
  }
  if (protocol === 'grpc') return { encoding: 'grpc', url: `${scheme ?? 'http'}://${address}` };
  const suffix = path || DEFAULT_PATH;
  return {
    encoding: 'http/json',
    url: `${protocol}://${address}${suffix.startsWith('/') ? suffix : `/${suffix}`}`,
  };
}

function targetOfEnv(env: Readonly<Record<string, string | undefined>>): Target | undefined {
  if (!env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] && !env['OTEL_EXPORTER_OTLP_ENDPOINT']) return undefined;
  const named = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || DEFAULT_ENCODING;
  const encoding = ENCODINGS.find((known) => known === named);
  if (encoding === undefined) {
    throw new DfError('invalid-argument', `OTEL_EXPORTER_OTLP_PROTOCOL: must be one of ${ENCODINGS.join(', ')}`);
  }
  return { encoding, url: undefined };
}

function samplerOf(env: Readonly<Record<string, string | undefined>>): SamplerSettings {
  const name = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  const sampler = SAMPLERS[name];
  if (sampler === undefined) {
    throw new DfError(
      'invalid-argument',
      `OTEL_TRACES_SAMPLER: must be one of ${Object.keys(SAMPLERS).join(', ')}, is "${name}"`,
    );
  }
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] || 1);
  if (!(ratio >= 0 && ratio <= 1)) {
    throw new DfError('invalid-argument', 'OTEL_TRACES_SAMPLER_ARG: must be between 0 and 1');
  }
  return { ...sampler, ratio };
}

function numberOf(env: Readonly<Record<string, string | undefined>>, name: string, fallback: number): number {
  const value = Number(env[name] || fallback);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new DfError('invalid-argument', `${name}: must be a whole number of at least 1`);
  }
  return value;
}

function isProtocol(text: string): text is Protocol {
  return (PROTOCOLS as readonly string[]).includes(text);
}
