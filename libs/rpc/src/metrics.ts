/**
 * The calls of gRPC servers as metrics, apart from the rest so that processes without metrics load no library for them.
 * @packageDocumentation
 */
import { status as Status } from '@grpc/grpc-js';
import { Counter, type Registry } from 'prom-client';
import { CallCounts, type MethodCounts } from './call-counts.js';

export { CallCounts } from './call-counts.js';

const METHOD_LABELS = ['grpc_type', 'grpc_service', 'grpc_method'] as const;
const STATUSES = Object.values(Status).filter((value) => typeof value === 'number');

/**
 * Shows counts as `grpc_server_started_total`, `_handled_total`, `_msg_received_total` and `_msg_sent_total`, under the names
 * and labels that dashboards of gRPC servers read. Methods that nobody has called stand there with zeros.
 * @param registry has none of the four yet
 * @returns the counts, for the settings of the servers
 */
export function callMetrics(registry: Registry): CallCounts {
  const counts = new CallCounts();
  const perMethod = (name: string, help: string, value: (method: MethodCounts) => number): void => {
    new Counter({
      name: `grpc_server_${name}_total`,
      help,
      labelNames: METHOD_LABELS,
      registers: [registry],
      collect() {
        this.reset();
        for (const method of counts.methods) this.inc(labelsOf(method), value(method));
      },
    });
  };
  perMethod('started', 'Calls that have begun.', ({ started }) => started);
  perMethod('msg_received', 'Messages received in calls.', ({ received }) => received);
  perMethod('msg_sent', 'Messages sent in calls.', ({ sent }) => sent);
  new Counter({
    name: 'grpc_server_handled_total',
    help: 'Calls that have ended, well or not.',
    labelNames: [...METHOD_LABELS, 'grpc_code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const method of counts.methods) {
        for (const status of STATUSES) {
          const count = method.ended[status] ?? 0;
          if (count === 0 && status !== Status.OK) continue;
          this.inc({ ...labelsOf(method), grpc_code: codeName(status) }, count);
        }
      }
    },
  });
  return counts;
}

function labelsOf({ type, service, method }: MethodCounts): Record<(typeof METHOD_LABELS)[number], string> {
  return { grpc_type: type, grpc_service: service, grpc_method: method };
}

/** As servers written in Go name it: `InvalidArgument`, `OK`; of two Ls of "cancelled" they write one. */
function codeName(status: Status): string {
  if (status === Status.OK) return 'OK';
  if (status === Status.CANCELLED) return 'Canceled';
  return Status[status]
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
