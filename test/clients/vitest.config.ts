import { defineConfig } from 'vitest/config';

/** The first run installs the clients; some import for half a minute on a busy machine. */
const INSTALL_MS = 15 * 60_000;

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    name: 'clients',
    include: ['test/clients/**/*.test.ts'],
    globalSetup: ['test/support/embedded-stack.ts'],
    testTimeout: 300_000,
    hookTimeout: INSTALL_MS,
    teardownTimeout: 60_000,
    fileParallelism: false,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
