import base from '../../jest.base.mjs';

// The integration specs start databases and whole managers, on machines that may be busy.
export default { ...base, testTimeout: 60_000 };
