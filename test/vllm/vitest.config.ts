import { defineConfig } from 'vitest/config';

/** One thread of a busy machine; a call that fills all of its 2,000 tokens is cut short by every test that makes one. */
const SLOW_MS = 300_000;

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    name: 'vllm',
    include: ['test/vllm/**/*.test.ts'],
    globalSetup: ['test/support/vllm.ts'],
    testTimeout: SLOW_MS,
    hookTimeout: SLOW_MS,
    teardownTimeout: 60_000,
    fileParallelism: false,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
