import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { scanJournal } from '@dragonfly/piece-store';

/** What a store's journal says of one task. */
export interface StoredPieces {
  /** Numbers of the finished pieces, ascending. */
  readonly numbers: readonly number[];
  readonly lengthBytes: number;
  readonly isComplete: boolean;
}

const NOTHING: StoredPieces = { numbers: [], lengthBytes: 0, isComplete: false };

/** Reads journals below a store's directory from outside, whether its daemon lives or not: what a restart would find. */
export function piecesInStore(storeDirectory: string, url: string): StoredPieces {
  for (const file of globSync('journal/*/*/*', { cwd: storeDirectory })) {
    const { records } = scanJournal(readFileSync(path.join(storeDirectory, file)));
    const [head] = records;
    if (head?.type !== 'task' || head.meta.url !== url) continue;
    const lengths = new Map<number, number>();
    let isComplete = false;
    for (const record of records) {
      if (record.type === 'piece') lengths.set(record.number, record.lengthBytes);
      else if (record.type === 'dropped') lengths.delete(record.number);
      else if (record.type === 'complete') isComplete = true;
    }
    return {
      numbers: [...lengths.keys()].sort((a, b) => a - b),
      lengthBytes: [...lengths.values()].reduce((sum, length) => sum + length, 0),
      isComplete,
    };
  }
  return NOTHING;
}
