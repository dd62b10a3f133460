import type { PieceRecord } from '@dragonfly/piece-store';
import { commonV2, msToDuration } from '@dragonfly/proto';

/** A piece as reports and answers carry it. `cost` and `created_at` are required by the receivers' validation. */
export function pieceMessage(record: PieceRecord, trafficType: commonV2.TrafficType): commonV2.Piece {
  return {
    number: record.number,
    parentId: record.parentId === '' ? undefined : record.parentId,
    offset: BigInt(record.offsetBytes),
    length: BigInt(record.lengthBytes),
    digest: record.digest,
    trafficType,
    cost: msToDuration(record.costMs),
    createdAt: new Date(record.createdAtMs),
  };
}
