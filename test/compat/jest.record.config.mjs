import base from '../../jest.base.mjs';

/** Makes recordings instead of testing; needs DRAGONFLY_REAL_BIN. */
export default { ...base, testMatch: ['<rootDir>/src/recording/record.ts'] };
