import { defineConfig } from 'vitest/config';

/** Real servers answer within seconds; a loaded two-core machine makes that many of them. */
const SLOW_MS = 120_000;

/**
 * Unit tests share the modules of their thread: loaded anew for each file they take most of the time. A test that changes what
 * is shared restores it. The limit is for a machine that does much else.
 */
const quick = { testTimeout: 30_000, pool: 'threads', isolate: false } as const;

/** They take more than ten seconds each: servers die in them, or time has to pass. `npm run test:slow` runs them. */
const SLOW = [
  'contract/openai',
  'contract/temporal-host',
  'contract/triton-texts',
  'integration/abuse',
  'integration/access',
  'integration/agents',
  'integration/cached-runs',
  'integration/cancellation',
  'integration/changed-workflows',
  'integration/code-versions',
  'integration/control-flow',
  'integration/decisions',
  'integration/device-lost',
  'integration/devices',
  'integration/dsl-examples',
  'integration/fast-host-faults',
  'integration/faults-agent',
  'integration/faults-servers',
  'integration/faults-worker',
  'integration/gateway-doors',
  'integration/large-audio',
  'integration/lost-state',
  'integration/lost-workers',
  'integration/mcp',
  'integration/openai-clients',
  'integration/overload',
  'integration/policies',
  'integration/profile',
  'integration/random-plans',
  'integration/retry-storm',
  'integration/run-list',
  'integration/segments',
  'integration/server-away',
  'integration/stores',
  'integration/temporal-host',
  'integration/temporal-tls',
  'integration/webhooks',
].map((name) => `test/${name}.test.ts`);

const patient = { testTimeout: SLOW_MS, hookTimeout: SLOW_MS, fileParallelism: false };
const onServers = { globalSetup: ['test/support/embedded-stack.ts'], ...patient };

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    // The stack is stopped part by part, each with the time that it needs to end well.
    teardownTimeout: 60_000,
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...quick } },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], ...patient } },
      {
        test: {
          name: 'integration',
          include: ['test/contract/**/*.test.ts', 'test/integration/**/*.test.ts'],
          exclude: SLOW,
          ...onServers,
        },
      },
      { test: { name: 'slow', include: SLOW, ...onServers } },
    ],
  },
});
