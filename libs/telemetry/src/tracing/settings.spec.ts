import { tracingSettings, tracingWarnings } from './settings.js';

describe('tracing by the configuration', () => {
  it.each([
    [
      { protocol: 'grpc', endpoint: 'jaeger:4317' },
      { encoding: 'grpc', url: 'http://jaeger:4317' },
    ],
    [
      { protocol: 'grpc', endpoint: 'https://jaeger:4317' },
      { encoding: 'grpc', url: 'https://jaeger:4317' },
    ],
    [
      { protocol: 'http', endpoint: 'jaeger:4318' },
      { encoding: 'http/json', url: 'http://jaeger:4318/v1/traces' },
    ],
    [
      { protocol: 'https', endpoint: 'jaeger:4318', path: 'otlp', headers: { authorization: 'Bearer x' } },
      { encoding: 'http/json', url: 'https://jaeger:4318/otlp', headers: { authorization: 'Bearer x' } },
    ],
    [
      { protocol: 'grpc', endpoint: '[::1]:4317', 'service-name': 'scheduler' },
      { url: 'http://[::1]:4317', serviceName: 'scheduler' },
    ],
  ])('%j', (section, expected) => {
    expect(tracingSettings(section, {})).toMatchObject(expected);
  });

  it.each([
    [{ protocol: 'udp', endpoint: 'jaeger:4317' }, 'tracing.protocol: must be one of grpc, http, https'],
    [{ protocol: 'http', endpoint: 'jaeger:4317/path' }, 'tracing.endpoint: must be host:port'],
    [{ protocol: 'http', endpoint: 'no host' }, 'tracing.endpoint: must be host:port'],
  ])('%j is refused', (section, message) => {
    expect(() => tracingSettings(section, {})).toThrow(message);
  });

  it.each([
    [undefined, []],
    [{ path: '/v1/traces' }, []],
    [{ protocol: 'grpc' }, ['tracing: no spans are exported by this section without tracing.endpoint']],
    [{ endpoint: 'jaeger:4317' }, ['tracing: no spans are exported by this section without tracing.protocol']],
  ])('%j exports nothing, as in the original, and says so where that is a surprise', (section, warnings) => {
    expect(tracingSettings(section, {})).toBeUndefined();
    expect(tracingWarnings(section)).toEqual(warnings);
  });
});

describe('tracing by the environment', () => {
  const there = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' };

  it('lets the exporter read its own variables, with protobuf over HTTP unless another protocol is named', () => {
    expect(tracingSettings(undefined, there)).toMatchObject({ encoding: 'http/protobuf', url: undefined });
    expect(tracingSettings(undefined, { ...there, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })?.encoding).toBe('grpc');
    expect(
      tracingSettings(undefined, {
        ...there,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      })?.encoding,
    ).toBe('http/json');
  });

  it('gives way to the configuration', () => {
    expect(tracingSettings({ protocol: 'grpc', endpoint: 'jaeger:4317' }, there)?.url).toBe('http://jaeger:4317');
  });

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }])('%j switches it off', (env) => {
    expect(tracingSettings({ protocol: 'grpc', endpoint: 'jaeger:4317' }, { ...there, ...env })).toBeUndefined();
  });

  it('says what is sampled and how spans are batched', () => {
    const env = { ...there, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' };
    expect(tracingSettings(undefined, { ...env, OTEL_BSP_SCHEDULE_DELAY: '100' })).toMatchObject({
      sampler: { kind: 'ratio', ratio: 0.25, obeysParent: true },
      batch: { scheduledDelayMillis: 100, maxQueueSize: 2048, maxExportBatchSize: 512 },
    });
  });

  it.each([
    [{ OTEL_TRACES_SAMPLER: 'sometimes' }, 'OTEL_TRACES_SAMPLER: must be one of'],
    [{ OTEL_TRACES_SAMPLER_ARG: '2' }, 'OTEL_TRACES_SAMPLER_ARG'],
    [{ OTEL_BSP_SCHEDULE_DELAY: 'soon' }, 'OTEL_BSP_SCHEDULE_DELAY'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' }, 'OTEL_EXPORTER_OTLP_PROTOCOL'],
  ])('%j is refused', (env, message) => {
    expect(() => tracingSettings(undefined, { ...there, ...env })).toThrow(message);
  });
});
