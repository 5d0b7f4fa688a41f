import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { listedFirst } from './test/support/listed-first.js';

/** What tests and the processes that they kill leave behind is removed when all have ended. */
const TEMPORARY = mkdtempSync(path.join(tmpdir(), 'millrace-tests-'));
process.env.TMPDIR = TEMPORARY;
process.on('exit', () => rmSync(TEMPORARY, { recursive: true, force: true }));

/** Real servers answer within seconds, and processes start; a loaded two-core machine makes that many of them. */
const SLOW_MS = 240_000;
/** A condition that is polled: what a machine may take that stands still for seconds, except where the time is what is tested. */
const POLL_MS = 30_000;

/**
 * Unit tests share the modules of their thread: loaded anew for each file they take most of the time. A test that changes what
 * is shared restores it. The limit is for a machine that does much else.
 */
const quick = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: POLL_MS / 2 } },
  pool: 'threads',
  isolate: false,
  maxWorkers: 2,
} as const;

const files = (names: readonly string[]) => names.map((name) => `test/${name}.test.ts`);

/** Slow tests, of more than ten seconds each, that kill a server of the stack, or measure what another test beside them would change. */
const SLOW = files([
  'contract/openai',
  'contract/triton-texts',
  'integration/auto-replan',
  'integration/cancellation',
  'integration/device-lost',
  'integration/faults-servers',
  'integration/optimize-triton',
  'integration/profile',
]);

/**
 * Slow tests of memory, of what a gateway refuses, and of an order: the tests above and below beside them would change what they look at, and
 * they do not change it for each other. The longest come first.
 */
const APART = files(['integration/large-audio', 'integration/abuse', 'integration/devices']);

/** Slow tests that use the model servers for most of their time. The longest come first. */
const BUSY = files([
  'integration/receipt-reader',
  'integration/random-plans',
  'integration/openai-clients',
  'integration/run-list',
  'integration/live-audio',
  'integration/diarised-minutes',
  'integration/catalogue',
  'integration/certified-cache',
  'integration/voice-round-trip',
  'integration/cache-entailment',
  'integration/cache-attacks',
  'integration/mcp',
  'integration/cached-runs',
]);

/**
 * Slow tests that wait for most of their time: for leases and timeouts, for backoff, for packages that are installed, for
 * workers of their own that start. Three of them at a time take a third as long; with four, those with deadlines of seconds miss
 * them. The longest come first.
 */
const WAITING = files([
  'integration/consumer',
  'integration/code-versions',
  'integration/streams',
  'integration/lost-state',
  'integration/segments',
  'integration/temporal-tls',
  'contract/temporal-host',
  'integration/lost-workers',
  'integration/retry-storm',
  'integration/python-stages',
  'integration/mcp-conformance',
  'integration/foreign-stages',
  'integration/faults-worker',
  'integration/python-streams',
  'integration/webhooks',
  'integration/config',
  'integration/model-cache',
  'integration/faults-agent',
  'integration/dsl-examples',
  'integration/gateway-doors',
  'integration/control-flow',
  'integration/changed-workflows',
  'integration/guides',
  'integration/responses',
  'integration/client-retries',
  'integration/fast-host-faults',
  'integration/server-away',
  'integration/agents',
  'integration/sandbox',
  'contract/triton-on-demand',
  'integration/a2a-push',
  'integration/access',
  'integration/optimize',
  'integration/code-artifacts',
  'integration/stores',
  'integration/oidc',
  'integration/outside',
  'integration/mcp-people',
  'integration/temporal-host',
  'integration/overload',
  'integration/model-loading',
  'integration/a2a-agent',
  'integration/decisions',
  'integration/nexus',
  'integration/policies',
  'integration/a2a',
  'integration/discovery',
  'integration/approvals',
  'integration/agui',
]);

/** Those of the other tests on servers that take longest, and so begin. */
const LONGEST = files([
  'integration/spoken-agents',
  'integration/spoken-pieces',
  'integration/command-line',
  'integration/run-follow',
  'integration/mcp-questions',
  'integration/executed-calls',
  'integration/semantic-cache',
  'contract/triton-tensors',
  'integration/tenant-turns',
  'integration/each-on-queues',
  'integration/media-formats',
  'integration/sagemaker-jobs',
  'contract/triton-maps',
]);

const patient = {
  testTimeout: SLOW_MS,
  hookTimeout: SLOW_MS,
  expect: { poll: { timeout: POLL_MS } },
  fileParallelism: false,
};
/** Files share the modules of their process, which take seconds to load anew for each. */
const onServers = { globalSetup: ['test/support/embedded-stack.ts'], ...patient, isolate: false };

// biome-ignore lint/style/noDefaultExport: vitest takes the default export
export default defineConfig({
  test: {
    // The stack is stopped part by part, each with the time that it needs to end well.
    teardownTimeout: 60_000,
    sequence: { sequencer: listedFirst([...LONGEST, ...WAITING, ...BUSY, ...APART]) },
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...quick } },
      {
        test: {
          name: 'replay',
          include: ['test/replay/**/*.test.ts'],
          ...patient,
          fileParallelism: true,
          // Beside the unit tests, as one of as many.
          maxWorkers: quick.maxWorkers,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/contract/**/*.test.ts', 'test/integration/**/*.test.ts'],
          exclude: [...SLOW, ...APART, ...BUSY, ...WAITING],
          ...onServers,
          fileParallelism: true,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'waiting',
          include: WAITING,
          ...onServers,
          fileParallelism: true,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'busy',
          include: BUSY,
          ...onServers,
          fileParallelism: true,
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'apart',
          include: APART,
          ...onServers,
          fileParallelism: true,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      { test: { name: 'slow', include: SLOW, ...onServers, sequence: { groupOrder: 5 } } },
    ],
  },
});
