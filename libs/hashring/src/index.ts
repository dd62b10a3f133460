export type { HashRing } from './ring.js';
export { type SipKey, sipHash24, ZERO_SIP_KEY } from './siphash.js';
export { keyPosition, memberPosition, SCHEDULER_VIRTUAL_NODES, SiphashRing } from './siphash-ring.js';
export { prefixPosition, socketAddressBytes, SocketAddressRing } from './socket-address-ring.js';
export { StathatRing } from './stathat-ring.js';
