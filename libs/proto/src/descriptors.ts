import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorSetBase64 } from './gen/descriptor-set.js';

/** An encoded google.protobuf.FileDescriptorSet with every file of proto/ and its imports, for server reflection. */
export const fileDescriptorSet: Buffer = Buffer.from(descriptorSetBase64, 'base64');

let registry: FileRegistry | undefined;

/** Descriptors of all messages, enums and services; decoded on first use. */
export function descriptors(): FileRegistry {
  registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, fileDescriptorSet));
  return registry;
}

let inputs: ReadonlyMap<string, string> | undefined;

/** Full name of the request message by method path, e.g. `/scheduler.v2.Scheduler/StatTask`. */
export function requestTypes(): ReadonlyMap<string, string> {
  if (inputs === undefined) {
    const map = new Map<string, string>();
    for (const type of descriptors()) {
      if (type.kind !== 'service') continue;
      for (const method of type.methods) map.set(`/${type.typeName}/${method.name}`, method.input.typeName);
    }
    inputs = map;
  }
  return inputs;
}
