import base from '../../jest.base.mjs';

/** Processes on a machine that may be busy with other things: no test is bounded tighter unless it says so itself. */
export default { ...base, testTimeout: 90_000 };
