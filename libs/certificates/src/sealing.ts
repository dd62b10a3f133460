/**
 * How secrets are kept, apart from the rest so that whoever needs only this does not load what certificates need.
 * @packageDocumentation
 */
export { seal, unseal } from './sealed-key.js';
