import { readFile } from 'node:fs/promises';
import { DfError } from '@dragonfly/errors';
import type { ClientTls, ServerTls } from '@dragonfly/rpc';
import type { DaemonConfig } from './config/schema.js';

/** Certificates of the links; undefined where a link is plain. */
export interface LinkTls {
  readonly manager: ClientTls | undefined;
  readonly scheduler: ClientTls | undefined;
  readonly parent: ClientTls | undefined;
  readonly upload: ServerTls | undefined;
}

interface Files {
  readonly caCert?: string | null | undefined;
  readonly cert?: string | null | undefined;
  readonly key?: string | null | undefined;
}

interface Contents {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** @throws DfError `invalid-argument` naming the key and the file that cannot be read */
export async function readTlsFiles(config: DaemonConfig): Promise<LinkTls> {
  const [manager, scheduler, parent, upload] = await Promise.all([
    readAll('manager', config.manager),
    readAll('scheduler', config.scheduler),
    readAll('upload.client', config.upload.client),
    readAll('upload.server', config.upload.server),
  ]);
  return {
    manager,
    scheduler,
    parent,
    upload:
      upload === undefined ? undefined : { certificate: upload.certificate, key: upload.key, clientCa: upload.ca },
  };
}

async function readAll(section: string, files: Files): Promise<Contents | undefined> {
  if (!files.caCert || !files.cert || !files.key) return undefined;
  const [ca, certificate, key] = await Promise.all([
    readOne(`${section}.caCert`, files.caCert),
    readOne(`${section}.cert`, files.cert),
    readOne(`${section}.key`, files.key),
  ]);
  return { ca, certificate, key };
}

async function readOne(name: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (caught) {
    throw new DfError('invalid-argument', `${name}: ${DfError.from(caught).message}`, { cause: caught });
  }
}
