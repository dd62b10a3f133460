import type { LeaseAuthority, LeaseVerdict, SourceReader } from '@dragonfly/scheduling';
import { Counter, type Registry } from 'prom-client';
import { PREFIX } from './call-counters.js';

/** Counts what an authority over source leases decides. */
export class CountedAuthority implements LeaseAuthority {
  readonly #claims: Counter<'result'>;

  constructor(
    private readonly inner: LeaseAuthority,
    registry: Registry,
  ) {
    this.#claims = new Counter({
      name: `${PREFIX}source_lease_claims_total`,
      help: 'Questions for a lease to a source, by the answer: granted, taken by another host, busy origin.',
      labelNames: ['result'],
      registers: [registry],
    });
  }

  claim(reader: SourceReader, decide: (verdict: LeaseVerdict) => void): void {
    this.inner.claim(reader, (verdict) => {
      this.#claims.inc({ result: verdict.kind });
      decide(verdict);
    });
  }
}

/** A number that somebody else keeps and that only grows, read when the metrics are. */
export function scrapedCounter(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name: PREFIX + name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}
