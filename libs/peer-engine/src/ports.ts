import { createServer } from 'node:net';

/**
 * The port to use for a listener.
 * @param isReplaceable a taken port is replaced by a free one (0); otherwise the listener itself will complain
 */
export async function choosePort(host: string, port: number, isReplaceable: boolean): Promise<number> {
  if (!isReplaceable || port === 0) return port;
  const probe = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen({ host, port, exclusive: true }, () => {
      resolve(true);
    });
  });
  if (!isFree) return 0;
  await new Promise<void>((resolve) => {
    probe.close(() => {
      resolve();
    });
  });
  return port;
}
