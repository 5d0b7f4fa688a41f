import { expect, it, vi } from 'vitest';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import type { RunContext, StageCall, StagePlacement } from '../../../pipelines/run/index.js';
import { TemporalHost } from '../../../workflows/temporal-host.js';
import { inHistory } from '../../support/in-history.js';

/** Of which a timer ends the workflow task; with the bytes of the calls that it has begun, by the length of the history. */
const task = vi.hoisted(() => ({ historyLength: 3, startTime: new Date(0), begun: new Map<number, number>() }));
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof import('@temporalio/workflow')>()),
  workflowInfo: () => task,
  sleep: async () => {
    await new Promise<void>((resolve) => setImmediate(resolve));
    task.historyLength += 5;
  },
  setDefaultSignalHandler: () => undefined,
  proxyActivities: () =>
    new Proxy(
      {},
      {
        get:
          () =>
          async (...args: readonly unknown[]) => {
            const bytes = JSON.stringify(args).length;
            task.begun.set(task.historyLength, (task.begun.get(task.historyLength) ?? 0) + bytes);
            return { output: {} };
          },
      },
    ),
}));

inHistory();

it('calls that begin at once are counted with all that travels with their input', async () => {
  const host = new TemporalHost({} as RunContext);
  const policy = { retry: { attempts: 1 }, timeout: { attemptMs: 1_000, totalMs: 1_000 } };
  const stage = { id: 'answer', kind: 'chat', model: 'assistant', policy } as unknown as StagePlan;
  const called = { stage: 'answer', model: 'assistant', tenant: 'acme', with: { system: 'x'.repeat(16_000) } };
  const call = called as unknown as StageCall;
  const placed = { connector: 'openai', device: 'gpu0', queue: 'pool' } as StagePlacement;
  await Promise.all(Array.from({ length: 256 }, (_, i) => host.runStage(stage, { prompt: `${i}` }, call, placed)));
  const tasks = [...task.begun.values()];
  expect(tasks.reduce((sum, bytes) => sum + bytes)).toBeGreaterThan(4 * 1024 * 1024 - 100_000);
  expect(Math.max(...tasks)).toBeLessThan(1_600_000);
});
