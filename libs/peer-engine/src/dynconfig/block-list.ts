/** What a request is judged by. */
export interface BlockSubject {
  readonly url: string;
  readonly application: string | undefined;
  readonly tag: string | undefined;
  /** Level 0..6. */
  readonly priority: number;
}

/** Downloads of standard tasks that the cluster forbids. Any match blocks. */
export interface BlockList {
  readonly applications: ReadonlySet<string>;
  readonly urls: readonly RegExp[];
  readonly tags: ReadonlySet<string>;
  readonly priorities: ReadonlySet<number>;
}

export const EMPTY_BLOCK_LIST: BlockList = {
  applications: new Set(),
  urls: [],
  tags: new Set(),
  priorities: new Set(),
};

/** Names what blocks a request, or returns undefined when nothing does. */
export function blockedBy(list: BlockList, subject: BlockSubject): string | undefined {
  if (subject.application !== undefined && list.applications.has(subject.application)) {
    return `application ${subject.application}`;
  }
  if (subject.tag !== undefined && list.tags.has(subject.tag)) return `tag ${subject.tag}`;
  if (list.priorities.has(subject.priority)) return `priority ${subject.priority}`;
  const url = list.urls.find((pattern) => pattern.test(subject.url));
  return url === undefined ? undefined : `URL pattern ${url.source}`;
}

/**
 * Reads `block_list.task.download` of a cluster's client configuration. Absent and `null` parts block nothing.
 * @param json the bytes of `client_config` or `seed_client_config`
 * @param onProblem told about entries that cannot be used; the rest of the list applies nevertheless
 */
export function parseBlockList(json: string, onProblem: (problem: string) => void): BlockList {
  if (json.trim() === '') return EMPTY_BLOCK_LIST;
  let config: unknown;
  try {
    config = JSON.parse(json);
  } catch {
    onProblem('the client configuration of the cluster is not JSON');
    return EMPTY_BLOCK_LIST;
  }
  const blockList = member(config, 'block_list') ?? member(config, 'blockList');
  const download = member(member(blockList, 'task'), 'download');
  return {
    applications: new Set(texts(member(download, 'applications'))),
    urls: texts(member(download, 'urls')).flatMap((pattern) => {
      try {
        return [new RegExp(pattern)];
      } catch {
        onProblem(`block list: "${pattern}" is not a regular expression`);
        return [];
      }
    }),
    tags: new Set(texts(member(download, 'tags'))),
    priorities: new Set(list(member(download, 'priorities')).map(Number)),
  };
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function texts(value: unknown): string[] {
  return list(value).filter((entry): entry is string => typeof entry === 'string' && entry !== '');
}
