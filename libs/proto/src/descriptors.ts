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
