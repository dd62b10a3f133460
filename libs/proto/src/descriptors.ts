import { descriptorSetBase64 } from './gen/descriptor-set.js';

/** An encoded google.protobuf.FileDescriptorSet with every file of proto/ and its imports, for server reflection. */
export const fileDescriptorSet: Buffer = Buffer.from(descriptorSetBase64, 'base64');
