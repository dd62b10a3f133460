/** What tests of other packages need: an image registry to talk to. */
export {
  digestOf,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  FakeRegistry,
  type FakeManifest,
  type FakeRegistryOptions,
  type FakeRegistryRequest,
  OCI_INDEX,
  OCI_MANIFEST,
} from './fake-registry.js';
