import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EMPTY_BLOCK_LIST, type BlockList } from './block-list.js';
import type { ClusterView } from './cluster-view.js';

const FILE_NAME = 'dynconfig.json';

const cachedViewSchema = z.object({
  version: z.literal(1),
  schedulers: z.array(z.object({ hostname: z.string(), host: z.string(), port: z.number(), clusterId: z.number() })),
  blockList: z.object({
    applications: z.array(z.string()),
    urls: z.array(z.string()),
    tags: z.array(z.string()),
    priorities: z.array(z.number()),
  }),
});

/** Keeps the last cluster view on disk, so that a daemon starts and works while the manager is away. */
export class ViewCache {
  private readonly file: string;

  constructor(private readonly directory: string) {
    this.file = join(directory, FILE_NAME);
  }

  /** @returns undefined when there is none that can be used */
  async read(): Promise<ClusterView | undefined> {
    try {
      const cached = cachedViewSchema.parse(JSON.parse(await readFile(this.file, 'utf8')));
      return { schedulers: cached.schedulers, blockList: reviveBlockList(cached.blockList) };
    } catch {
      // Missing, torn or of another version: the cache is a convenience and the next refresh writes it anew.
      return undefined;
    }
  }

  /** @throws errno when the directory cannot be written */
  async write(view: ClusterView): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    const { applications, urls, tags, priorities } = view.blockList;
    const text = JSON.stringify({
      version: 1,
      schedulers: view.schedulers,
      blockList: {
        applications: [...applications],
        urls: urls.map((pattern) => pattern.source),
        tags: [...tags],
        priorities: [...priorities],
      },
    });
    const temporary = `${this.file}.${process.pid}`;
    await writeFile(temporary, text);
    await rename(temporary, this.file);
  }
}

function reviveBlockList(cached: z.output<typeof cachedViewSchema>['blockList']): BlockList {
  try {
    return {
      applications: new Set(cached.applications),
      urls: cached.urls.map((pattern) => new RegExp(pattern)),
      tags: new Set(cached.tags),
      priorities: new Set(cached.priorities),
    };
  } catch {
    return EMPTY_BLOCK_LIST;
  }
}
