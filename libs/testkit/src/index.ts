export { ChildService, type ChildServiceOptions } from './child-service.js';
export { Content } from './content.js';
export { CountingOrigin, type OriginFile, type OriginRequest } from './counting-origin.js';
export { MariaDbServer, RedisServer } from './databases.js';
export { freePort, freePorts } from './free-port.js';
export { tempDir, type TempDir } from './temp-dir.js';
export { waitFor, type WaitOptions } from './wait-for.js';
