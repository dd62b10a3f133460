/**
 * The keeper of certificates, apart from the rest so that services without certificates of the manager do not load it.
 * @packageDocumentation
 */
export { CertificateKeeper, type CertificateKeeperOptions } from './certificate-keeper.js';
