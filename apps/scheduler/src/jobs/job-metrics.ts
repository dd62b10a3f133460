import { Counter, Gauge, type Registry } from 'prom-client';
import { PREFIX } from '../metrics/call-counters.js';
import type { JobRun } from './job-run.js';

/** What jobs have come to. */
export class JobMetrics {
  /** Told by the runner. */
  running: () => number = () => 0;
  readonly #jobs: Counter<'kind' | 'result'>;
  readonly #outcomes: Counter<'kind' | 'result'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['kind', 'result'] as const;
    this.#jobs = new Counter({ name: `${PREFIX}jobs_total`, help: 'Jobs that ended.', labelNames, registers });
    this.#outcomes = new Counter({
      name: `${PREFIX}job_outcomes_total`,
      help: 'Pairs of a task and a host that jobs dealt with.',
      labelNames,
      registers,
    });
    const running = (): number => this.running();
    new Gauge({
      name: `${PREFIX}jobs_running`,
      help: 'Jobs that run now.',
      registers,
      collect() {
        this.set(running());
      },
    });
  }

  ended({ kind, end, progress }: JobRun): void {
    this.#jobs.inc({ kind, result: end?.result ?? 'failed' });
    this.#outcomes.inc({ kind, result: 'succeeded' }, progress.succeeded);
    this.#outcomes.inc({ kind, result: 'failed' }, progress.failed);
  }
}
