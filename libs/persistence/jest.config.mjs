import base from '../../jest.base.mjs';

// The specs start a database server, on machines that may be busy.
export default { ...base, testTimeout: 60_000 };
