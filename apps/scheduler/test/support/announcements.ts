import { commonV2, type DeepPartial, type schedulerV2 } from '@dragonfly/proto';

const MIB = 1024 * 1024;

/** A host as a daemon announces itself. */
export function aHost(name: string, changes: DeepPartial<commonV2.Host> = {}): commonV2.Host {
  return commonV2.Host.fromPartial({
    id: `127.0.0.1-${name}`,
    type: 0,
    hostname: name,
    name,
    ip: '127.0.0.1',
    port: 4000,
    downloadPort: 4000,
    proxyPort: 4001,
    os: 'linux',
    platform: 'linux',
    network: { idc: 'dc1', location: 'eu|de', maxTxBandwidth: 1_000_000_000n, maxRxBandwidth: 1_000_000_000n },
    build: { gitVersion: '1.5.10' },
    ...changes,
  });
}

/** A registration of a content of `pieces` pieces of 4 MiB. */
export function aDownload(changes: DeepPartial<commonV2.Download> = {}, pieces = 3): commonV2.Download {
  return commonV2.Download.fromPartial({
    url: 'http://origin.example/file.bin',
    concurrentPieceCount: 8,
    actualContentLength: BigInt(pieces * 4 * MIB),
    actualPieceLength: BigInt(4 * MIB),
    actualPieceCount: BigInt(pieces),
    ...changes,
  });
}

/** A finished piece as a daemon reports it. */
export function aPiece(number: number, changes: DeepPartial<commonV2.Piece> = {}): commonV2.Piece {
  return commonV2.Piece.fromPartial({
    number,
    offset: BigInt(number * 4 * MIB),
    length: BigInt(4 * MIB),
    digest: 'crc32:2533597436',
    trafficType: commonV2.TrafficType.BACK_TO_SOURCE,
    cost: { seconds: 0n, nanos: 5_000_000 },
    createdAt: new Date(),
    ...changes,
  });
}

export type Request = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;
export type Response = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;
