import { defineConfig } from 'vitest/config';

/** Real servers answer within seconds; a loaded two-core machine makes that many of them. */
const SLOW_MS = 120_000;

/**
 * Unit tests share the modules of their thread: loaded anew for each file they take most of the time. A test that changes what
 * is shared restores it. The limit is for a machine that does much else.
 */
const quick = { testTimeout: 30_000, pool: 'threads', isolate: false } as const;

const slow = { testTimeout: SLOW_MS, hookTimeout: SLOW_MS, fileParallelism: false };

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    // The stack is stopped part by part, each with the time that it needs to end well.
    teardownTimeout: 60_000,
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...quick } },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], ...slow } },
      {
        test: {
          name: 'integration',
          include: ['test/contract/**/*.test.ts', 'test/integration/**/*.test.ts'],
          globalSetup: ['test/support/embedded-stack.ts'],
          ...slow,
        },
      },
    ],
  },
});
