import common from '../../jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...common,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/containers/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  globalSetup: '<rootDir>/test/containers/global-setup.ts',
  globalTeardown: null,
  // Building, starting and stopping containers takes its time.
  testTimeout: 300_000,
  maxWorkers: 1,
};
