import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { byteSize, duration, host, loadConfig, port } from './index.js';

const schema = z.object({
  host: z.object({ ip: host().optional(), labels: z.record(z.string(), z.string()).default({}) }).prefault({}),
  download: z
    .object({
      concurrentPieceCount: z.number().int().min(1, 'must be at least 1').default(8),
      pieceTimeout: duration().default(360_000),
      bufferSize: byteSize().default(1024),
    })
    .prefault({}),
  listen: z.union([z.object({ port: port() }), z.object({ socket: z.string() })]).optional(),
  rules: z.array(z.object({ regex: z.string() })).default([]),
});

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'config-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function fileWith(text: string): string {
  const file = path.join(directory, 'dfdaemon.yaml');
  writeFileSync(file, text);
  return file;
}

describe('loadConfig', () => {
  it('fills defaults when there is no file', () => {
    const loaded = loadConfig({ schema, env: {}, defaultFiles: [path.join(directory, 'absent.yaml')] });
    expect(loaded.file).toBeUndefined();
    expect(loaded.config.download).toEqual({ concurrentPieceCount: 8, pieceTimeout: 360_000, bufferSize: 1024 });
  });

  it('reads quantities and an empty section', () => {
    const file = fileWith('download:\n  pieceTimeout: 1m30s\n  bufferSize: 4MiB\nhost:\n  ip: 10.0.0.1\n');
    expect(loadConfig({ schema, env: {}, file }).config).toMatchObject({
      host: { ip: '10.0.0.1' },
      download: { pieceTimeout: 90_000, bufferSize: 4_194_304 },
    });
  });

  it('takes a key with nothing behind it for left out, but still tells when nobody knows it', () => {
    const file = fileWith('host:\n  ip:\ndownload:\nlisten:\nrules:\nworkHome:\n');
    const loaded = loadConfig({ schema, env: {}, file });
    expect(loaded.config).toEqual(loadConfig({ schema, env: {} }).config);
    expect(loaded.warnings).toEqual([`${file}: workHome: unknown key`]);
  });

  it('names file, key and rule of every problem', () => {
    const file = fileWith('download:\n  concurrentPieceCount: 0\n  pieceTimeout: soon\nlisten:\n  port: 99999\n');
    expect(() => loadConfig({ schema, env: {}, file })).toThrow(
      [
        `${file}: download.concurrentPieceCount: must be at least 1`,
        `${file}: download.pieceTimeout: "soon" is not a duration such as 30s or 1h30m`,
        `${file}: listen.port: must be 0..65535`,
      ].join('\n'),
    );
  });

  it('says where the YAML breaks', () => {
    const file = fileWith('download:\n  a: [1,\nb: 2\n');
    expect(() => loadConfig({ schema, env: {}, file })).toThrow(new RegExp(`^${file}:\\d+:\\d+: `));
  });

  it.each(['- a\n- b\n', 'just text\n'])('refuses a document that is no mapping: %j', (text) => {
    const file = fileWith(text);
    expect(() => loadConfig({ schema, env: {}, file })).toThrow(`${file}: must be a mapping of keys to values`);
  });

  it('refuses a named file that is missing', () => {
    expect(() => loadConfig({ schema, env: {}, file: '/nowhere/x.yaml' })).toThrow(/\/nowhere\/x\.yaml does not exist/);
  });

  it('warns of an unknown key with the nearest known one', () => {
    const file = fileWith(
      'download:\n  conurrentPieceCount: 4\nrules:\n  - regex: x\n    useTls: true\nhost:\n  labels: {a: b}\n',
    );
    expect(loadConfig({ schema, env: {}, file }).warnings).toEqual([
      `${file}: download.conurrentPieceCount: unknown key, did you mean download.concurrentPieceCount?`,
      `${file}: rules[0].useTls: unknown key`,
    ]);
    expect(() => loadConfig({ schema, env: {}, file, strict: true })).toThrow(/conurrentPieceCount: unknown key/);
  });

  it('lets the environment override keys, in YAML form', () => {
    const file = fileWith('download:\n  concurrentPieceCount: 4\n  bufferSize: 1MiB\n');
    const env = {
      DRAGONFLY_DOWNLOAD__CONCURRENT_PIECE_COUNT: '16',
      DRAGONFLY_HOST__IP: '10.1.1.1',
      DRAGONFLY_RULES: '[{regex: "blobs/.*"}]',
      DRAGONFLY_SOMETHING_ELSE: 'left alone',
    };
    const loaded = loadConfig({ schema, env, file });
    expect(loaded.config).toMatchObject({
      host: { ip: '10.1.1.1' },
      download: { concurrentPieceCount: 16, bufferSize: 1_048_576 },
      rules: [{ regex: 'blobs/.*' }],
    });
    expect(loaded.warnings).toEqual([]);
  });

  it('hands out a frozen value', () => {
    const { config } = loadConfig({ schema, env: {} });
    expect(Object.isFrozen(config.download)).toBe(true);
  });

  it('translates an older format first and passes its warnings on', () => {
    const file = fileWith('advertiseIP: 10.2.2.2\n');
    const loaded = loadConfig({
      schema,
      env: {},
      file,
      translate: (raw) => ({
        value: { host: { ip: (raw as { advertiseIP: string }).advertiseIP } },
        warnings: ['an older format'],
      }),
    });
    expect(loaded.config.host.ip).toBe('10.2.2.2');
    expect(loaded.warnings).toEqual(['an older format']);
  });
});
