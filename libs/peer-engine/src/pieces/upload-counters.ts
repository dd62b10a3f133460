/** Tasks whose counts are kept; the one touched longest ago is forgotten first. */
const MAX_TASKS = 10_000;

interface Count {
  uploading: number;
  uploaded: number;
}

/** Counts answers to other peers, in all and by task. Kept in memory only, as today's client does. */
export class UploadCounters {
  private readonly byTask = new Map<string, Count>();
  private running = 0;
  private totalBytes = 0;

  /** @param onBegin told of every answer; what it returns is called when the answer has ended */
  constructor(private readonly onBegin: () => () => void = () => () => {}) {}

  /** Piece answers under way. */
  get uploadingPieces(): number {
    return this.running;
  }

  get uploadedBytes(): number {
    return this.totalBytes;
  }

  /** An answer begins. @returns to be called once when it ends */
  begin(taskId: string, lengthBytes: number): () => void {
    const count = this.byTask.get(taskId) ?? { uploading: 0, uploaded: 0 };
    this.byTask.delete(taskId);
    this.byTask.set(taskId, count);
    const oldest = this.byTask.keys().next().value;
    if (this.byTask.size > MAX_TASKS && oldest !== undefined) this.byTask.delete(oldest);
    count.uploading += 1;
    this.running += 1;
    const ended = this.onBegin();
    return () => {
      ended();
      count.uploading -= 1;
      count.uploaded += 1;
      this.running -= 1;
      this.totalBytes += lengthBytes;
    };
  }

  of(taskId: string): Readonly<Count> {
    return this.byTask.get(taskId) ?? { uploading: 0, uploaded: 0 };
  }
}
