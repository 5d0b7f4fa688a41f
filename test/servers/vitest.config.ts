import { defineConfig } from 'vitest/config';

/** The first run installs the servers. */
const INSTALL_MS = 15 * 60_000;

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    name: 'servers',
    include: ['test/servers/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: INSTALL_MS,
    teardownTimeout: 60_000,
    fileParallelism: false,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
