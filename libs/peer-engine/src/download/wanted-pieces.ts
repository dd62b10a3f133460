import type { PieceSpan } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';

/** The pieces that an attempt is to bring, held against what the store has by now. */
export class WantedPieces {
  /** @param span pieces wanted; undefined: all of them */
  constructor(
    private readonly task: StoredTask,
    readonly span: PieceSpan | undefined,
  ) {}

  /** Whether every wanted piece is in the store; false while the length is unknown. */
  areHeld(): boolean {
    return this.missing()?.length === 0;
  }

  /** Numbers of wanted pieces that are not in the store; undefined while the length is unknown. */
  missing(): number[] | undefined {
    const { task, span } = this;
    if (task.contentLengthBytes === undefined) return undefined;
    const missing = task.missingPieces();
    return span === undefined ? missing : missing.filter((number) => isWithin(span, number));
  }

  /** Wanted pieces that are in the store. */
  held(): PieceRecord[] {
    const { task, span } = this;
    const held = [...task.pieces()];
    return span === undefined ? held : held.filter(({ number }) => isWithin(span, number));
  }
}

function isWithin(span: PieceSpan, number: number): boolean {
  return number >= span.first && number < span.first + span.count;
}
