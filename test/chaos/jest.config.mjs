import base from '../../jest.base.mjs';

/** Minutes of killing and waiting: `./test.sh --long` runs them, `./test.sh` says that it did not. */
const LONG_SPECS = ['absent-services', 'leaks', 'origin-faults', 'process-deaths'];
const isLong = process.env.DRAGONFLY_TEST_LONG === '1';

export default { ...base, testPathIgnorePatterns: isLong ? [] : LONG_SPECS.map((name) => `/${name}\\.spec\\.ts$`) };
