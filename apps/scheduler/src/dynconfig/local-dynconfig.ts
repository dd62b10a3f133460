import { DfError } from '@dragonfly/errors';
import type { Clock, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { readDynamicConfig, writeDynamicConfig } from './config-file.js';
import { DEFAULT_DYNAMIC_CONFIG, type DynamicSettings } from './dynamic-config.js';

/** The dynamic configuration of a scheduler without a manager: a YAML file, read again at every refresh. */
export class LocalDynconfig {
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(
    private readonly file: string,
    private readonly refreshIntervalMs: number,
    private readonly settings: DynamicSettings,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Reads the file, which is made with the defaults when it is missing. A file that cannot be used changes nothing. */
  async start(): Promise<void> {
    await this.#refresh();
    if (this.#isStopped) return;
    this.#timer = this.clock.after(this.refreshIntervalMs, () => {
      void this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #refresh(): Promise<void> {
    try {
      const config = await readDynamicConfig(this.file);
      if (config === undefined) await writeDynamicConfig(this.file, DEFAULT_DYNAMIC_CONFIG);
      this.settings.apply(config ?? DEFAULT_DYNAMIC_CONFIG);
    } catch (caught) {
      this.log.warn(
        { reason: DfError.from(caught).message, file: this.file },
        'local dynamic configuration cannot be used',
      );
    }
  }
}
