/** Blocks of a file system, as statfs(2) counts them. */
export interface FileSystemBlocks {
  readonly bsize: number;
  readonly blocks: number;
  /** Free, those that are kept back included. */
  readonly bfree: number;
  /** Free for us. */
  readonly bavail: number;
}

/**
 * What a file system has for us. Blocks that are kept back (for root, by a quota) belong to nobody: counted as used they
 * would make a half empty disk look full, and finished tasks would be evicted for nothing. The same sum as that of df(1).
 */
export function capacityOf({ bsize, blocks, bfree, bavail }: FileSystemBlocks): {
  freeBytes: number;
  totalBytes: number;
} {
  return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize };
}
