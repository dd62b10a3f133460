import { dfdaemonV2, managerV2, schedulerV2 } from '@dragonfly/proto';
import type { Side } from './recording/session.js';

/** How the messages of a method are read and written. */
export interface MethodCodec {
  readonly path: string;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

const SERVICES: readonly Readonly<Record<string, MethodCodec>>[] = [
  managerV2.ManagerService,
  schedulerV2.SchedulerService,
  dfdaemonV2.DfdaemonUploadService,
  dfdaemonV2.DfdaemonDownloadService,
];

const METHODS = new Map(
  SERVICES.flatMap((service) => Object.values(service)).map((method) => [method.path, method] as const),
);

/** What the messages of the services mean, by the path of their method. */
export const commonServices = {
  /**
   * @returns the message; its bytes in hex for a method of another service, such as that of health
   * @throws Error for bytes that are no such message
   */
  decode(path: string, side: Side, bytes: Buffer): unknown {
    const method = METHODS.get(path);
    if (method === undefined) return bytes.toString('hex');
    return side === '>' ? method.requestDeserialize(bytes) : method.responseDeserialize(bytes);
  },

  /** A line for readers. */
  describe(path: string, side: Side, bytes: Buffer): string {
    const bigintAsNumber = (_key: string, value: unknown): unknown =>
      typeof value === 'bigint' ? Number(value) : value;
    return JSON.stringify(commonServices.decode(path, side, bytes), bigintAsNumber);
  },
};
