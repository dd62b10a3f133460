import { EventEmitter } from 'node:events';
import {
  status as Status,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { DfError } from '@dragonfly/errors';
import { fileDescriptorSet } from '@dragonfly/proto';
import { callStatus } from './status.js';

const METHOD = 'ServerReflectionInfo';
const VERSIONS = ['v1', 'v1alpha'] as const;
const SERVICES = VERSIONS.map((version) => `grpc.reflection.${version}.ServerReflection`);

/** The library's reflection of one version: how its messages look, and who answers them. */
interface Reflection {
  readonly definition: ServiceDefinition[string];
  readonly handle: UntypedHandleCall;
}

/**
 * Offers server reflection, v1 and v1alpha, of our own files. The library decodes all of them and keeps what it made, 5 to 6
 * MiB in every process and a tenth of the CPU of its start, and hardly any process is ever asked: so it is loaded by the
 * first call. Until then its messages are bytes to us.
 *
 * @param services full names of the services to list
 */
export function addReflection(server: Pick<Server, 'addService'>, services: readonly string[]): void {
  let loading: Promise<ReadonlyMap<string, Reflection>> | undefined;
  const load = (): Promise<ReadonlyMap<string, Reflection>> => {
    loading ??= loadReflection(services).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
  for (const service of SERVICES) {
    const path = `/${service}/${METHOD}`;
    server.addService(
      {
        [METHOD]: {
          path,
          requestStream: true,
          responseStream: true,
          requestSerialize: asIs,
          requestDeserialize: asIs,
          responseSerialize: asIs,
          responseDeserialize: asIs,
        },
      },
      {
        [METHOD]: (call: ServerDuplexStream<Buffer, Buffer>) => {
          void answer(call, path, load);
        },
      },
    );
  }
}

/** Never rejects. */
async function answer(
  call: ServerDuplexStream<Buffer, Buffer>,
  path: string,
  load: () => Promise<ReadonlyMap<string, Reflection>>,
): Promise<void> {
  try {
    const reflection = (await load()).get(path);
    if (reflection === undefined) throw new DfError('unimplemented', `no reflection under ${path}`);
    connect(call, reflection);
  } catch (caught) {
    fail(call, `reflection cannot be loaded: ${DfError.from(caught).message}`);
  }
}

/** Lets the library's handler see a call of messages where ours is one of bytes. */
function connect(call: ServerDuplexStream<Buffer, Buffer>, { definition, handle }: Reflection): void {
  const messages = Object.assign(new EventEmitter(), {
    write: (response: unknown): boolean => call.write(definition.responseSerialize(response)),
    end: (): void => {
      call.end();
    },
  });
  // The library's handler asks for no more of a call than this.
  (handle as (call: typeof messages) => void)(messages);
  call.on('data', (bytes: Buffer) => {
    try {
      messages.emit('data', definition.requestDeserialize(bytes));
    } catch (caught) {
      fail(call, DfError.from(caught).message);
    }
  });
  call.on('end', () => messages.emit('end'));
}

function fail(call: ServerDuplexStream<Buffer, Buffer>, details: string): void {
  call.emit('error', callStatus(Status.INTERNAL, details));
}

/** By path of the method. */
async function loadReflection(services: readonly string[]): Promise<ReadonlyMap<string, Reflection>> {
  const [{ loadFileDescriptorSetFromBuffer }, { ReflectionService }] = await Promise.all([
    import('@grpc/proto-loader'),
    import('@grpc/reflection'),
  ]);
  const loaded = new Map<string, Reflection>();
  new ReflectionService(filesOnce(loadFileDescriptorSetFromBuffer(fileDescriptorSet)), {
    services: [...services],
  }).addToServer({
    addService: (definitions, implementation) => {
      const [definition, handle] = [definitions[METHOD], implementation[METHOD]];
      if (definition !== undefined && handle !== undefined) loaded.set(definition.path, { definition, handle });
    },
  });
  return loaded;
}

/**
 * Every type of a loaded set carries the files of the whole set, and the reflection service decodes them once for each
 * type. One type is enough to hand the files over.
 */
function filesOnce(definitions: PackageDefinition): PackageDefinition {
  const seen = new Set<unknown>();
  const entries = Object.entries(definitions).filter(([, entry]) => {
    if (!('fileDescriptorProtos' in entry) || seen.has(entry.fileDescriptorProtos)) return false;
    seen.add(entry.fileDescriptorProtos);
    return true;
  });
  return Object.fromEntries(entries);
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
