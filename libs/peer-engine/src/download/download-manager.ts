import { DfError } from '@dragonfly/errors';
import { annotateSpan } from '@dragonfly/telemetry/spans';
import type { DownloadRequest } from './download-request.js';
import { loggableUrl } from './loggable-url.js';
import type { RequestWatcher } from './instrumented-requests.js';
import { TaskRun, type DownloadObserver, type DownloadResult, type TaskRunServices } from './task-run.js';

/** Requests served at once; one more is refused. Each holds a few kilobytes, its pieces are bounded elsewhere. */
const MAX_REQUESTS = 10_000;

/** Longest delay that setTimeout takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Every download of this process, one {@link TaskRun} a task. */
export class DownloadManager {
  private readonly runs = new Map<string, TaskRun>();
  private readonly leaving = new Set<Promise<void>>();
  private requests = 0;
  private isStopped = false;

  constructor(
    private readonly services: TaskRunServices,
    private readonly watcher: RequestWatcher,
  ) {}

  /** Requests being served now. */
  get activeRequests(): number {
    return this.requests;
  }

  /** Whether pieces of a task are on their way here. Others may wait for them. */
  isDownloading(kind: string, taskId: string): boolean {
    return this.runs.get(keyOf(kind, taskId))?.isDownloading ?? false;
  }

  /**
   * Brings what the request asks for into the store. Requests for one task share what they have in common.
   * @throws DfError `deadline-exceeded` after the request's own timeout, `cancelled` by the signal, `resource-exhausted`
   * when too many are served, otherwise why the content could not be had
   */
  async download(request: DownloadRequest, observer: DownloadObserver, outer: AbortSignal): Promise<DownloadResult> {
    if (this.isStopped) throw new DfError('unavailable', 'the daemon is stopping', { details: { isStopping: true } });
    if (this.requests >= MAX_REQUESTS) {
      throw new DfError('resource-exhausted', `more than ${MAX_REQUESTS} downloads at once`);
    }
    const key = keyOf(request.kind, request.taskId);
    const known = this.runs.get(key);
    const run = known === undefined || known.isAborted ? new TaskRun(this.services) : known;
    this.runs.set(key, run);
    run.users += 1;
    this.requests += 1;
    annotateSpan(() => {
      const url = loggableUrl(request.download.url);
      // `http.url` is the older name, under which people search.
      return { task_id: request.taskId, 'url.full': url, 'http.url': url };
    });
    const ended = this.watcher.begin(request);
    const timeout = new AbortController();
    const timer =
      request.timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => {
              timeout.abort(new DfError('deadline-exceeded', `the download took longer than ${request.timeoutMs} ms`));
            },
            Math.min(request.timeoutMs, MAX_TIMER_MS),
          );
    try {
      const result = await run.serve(request, observer, AbortSignal.any([outer, timeout.signal]));
      ended(result);
      return result;
    } catch (caught) {
      const error = DfError.from(caught);
      ended(error);
      throw error;
    } finally {
      clearTimeout(timer);
      run.users -= 1;
      this.requests -= 1;
      if (run.users === 0) this.dismiss(key, run);
    }
  }

  /** Ends the downloads of a task, for instance because it is deleted. */
  async abortTask(kind: string, taskId: string, reason: DfError): Promise<void> {
    const run = this.runs.get(keyOf(kind, taskId));
    run?.abort(reason);
    await run?.whenQuiet();
  }

  /** Ends everything; resolves when it has ended. */
  async stop(): Promise<void> {
    this.isStopped = true;
    const reason = new DfError('unavailable', 'the daemon is stopping', { details: { isStopping: true } });
    const runs = [...this.runs.values()];
    for (const run of runs) run.abort(reason);
    await Promise.all([...runs.map((run) => run.whenQuiet()), ...this.leaving]);
  }

  /** A run whose requests have gone may still be saying goodbye to its scheduler. */
  private dismiss(key: string, run: TaskRun): void {
    if (this.runs.get(key) === run) this.runs.delete(key);
    const quiet = run.close();
    this.leaving.add(quiet);
    void quiet.finally(() => this.leaving.delete(quiet));
  }
}

function keyOf(kind: string, taskId: string): string {
  return `${kind} ${taskId}`;
}
