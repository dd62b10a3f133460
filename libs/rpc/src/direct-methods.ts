import type { MethodDefinition, Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { type CallContext, handleUnary } from './handle.js';
import type { RpcLog } from './log.js';

/**
 * A unary method whose answer is encoded already, and which is answered past Nest: its pipeline and the encoding of an
 * answer that seldom changes cost more than the call. Limits, validation and the rest of the server stand before it as
 * before every method.
 */
export interface DirectMethod {
  /** E.g. `/manager.v2.Manager/ListSchedulers`. */
  readonly path: string;
  readonly answer: (request: unknown, context: CallContext) => Promise<Buffer>;
}

/**
 * @param definition of a generated service, e.g. `managerV2.ManagerService.listSchedulers`
 * @param answer the encoded response; what it throws becomes the status of the call, as in `handleUnary`
 */
export function directMethod<Req>(
  definition: Pick<MethodDefinition<Req, unknown>, 'path' | 'requestDeserialize'>,
  answer: (request: Req, context: CallContext) => Promise<Buffer>,
): DirectMethod {
  // The server calls it with what the definition decodes, and with nothing else.
  return { path: definition.path, answer: (request, context) => answer(request as Req, context) };
}

/**
 * What Nest adds its services to: the server, with the direct methods put among the handlers of their services.
 * @throws DfError failed-precondition, when a service is added, for a direct method that a controller has too
 */
export function addDirectly(server: Server, methods: readonly DirectMethod[], log: RpcLog): Pick<Server, 'addService'> {
  if (methods.length === 0) return server;
  const byPath = new Map(methods.map((method) => [method.path, method]));
  return {
    addService: (service, implementation) => {
      const definition: Record<string, ServiceDefinition[string]> = { ...service };
      const handlers: UntypedServiceImplementation = { ...implementation };
      for (const [name, method] of Object.entries(service)) {
        const direct = byPath.get(method.path);
        if (direct === undefined) continue;
        if (name in handlers) {
          throw new DfError('failed-precondition', `${method.path} is answered directly and by a controller`);
        }
        definition[name] = { ...method, responseSerialize: (bytes: Buffer) => bytes };
        handlers[name] = handleUnary<unknown, Buffer>(direct.answer, log);
      }
      server.addService(definition, handlers);
    },
  };
}
