import { expect, it } from 'vitest';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import type { RunContext, StageCall, StagePlacement } from '../../../pipelines/run/index.js';
import { TemporalHost } from '../../../workflows/temporal-host.js';
import { inHistory } from '../../support/in-history.js';

const task = { historyLength: 3, historySize: 0, continueAsNewSuggested: false, startTime: new Date(0) };
/** Bytes of the calls that it has begun, by the length of the history. */
const begun = new Map<number, number>();
const outbound = {
  /** A timer ends the workflow task. */
  async startTimer() {
    await new Promise<void>((resolve) => setImmediate(resolve));
    task.historyLength += 5;
  },
  async scheduleActivity({ args }: { readonly args: readonly unknown[] }) {
    const bytes = JSON.stringify(args).length;
    begun.set(task.historyLength, (begun.get(task.historyLength) ?? 0) + bytes);
    return { output: {} };
  },
};
inHistory({
  info: task,
  nextSeqs: { timer: 1, activity: 1 },
  interceptors: { outbound: [outbound] },
  dispatchBufferedSignals: () => undefined,
});

it('calls that begin at once are counted with all that travels with their input', async () => {
  const policy = { retry: { attempts: 1 }, timeout: { attemptMs: 1_000, totalMs: 1_000 } };
  const options = { system: 'x'.repeat(16_000) };
  const called = { stage: 'answer', model: 'assistant', tenant: 'acme', with: options };
  const call = called as unknown as StageCall;
  const stage = { id: 'answer', kind: 'chat', model: 'assistant', with: options, policy } as unknown as StagePlan;
  const host = new TemporalHost({ plan: { stages: [stage] } } as unknown as RunContext);
  const placed = { connector: 'openai', device: 'gpu0', queue: 'pool' } as StagePlacement;
  await Promise.all(Array.from({ length: 256 }, (_, i) => host.runStage(stage, { prompt: `${i}` }, call, placed)));
  const tasks = [...begun.values()];
  expect(tasks.reduce((sum, bytes) => sum + bytes)).toBeGreaterThan(4 * 1024 * 1024 - 100_000);
  expect(Math.max(...tasks)).toBeLessThan(1_600_000);
});

it('calls that have begun end a history with segments, whatever Temporal says of its length', async () => {
  const policy = { retry: { attempts: 1 }, timeout: { attemptMs: 1_000, totalMs: 1_000 } };
  const call = { stage: 'answer', tenant: 'acme', with: {} } as unknown as StageCall;
  const stage = { id: 'answer', kind: 'chat', with: {}, policy } as unknown as StagePlan;
  const inline = { ...stage, id: 'check', policy: { ...policy, execution: 'inline' } };
  const host = new TemporalHost({ plan: { stages: [stage, inline] } } as unknown as RunContext);
  const placed = { connector: 'openai', device: 'gpu0', queue: 'pool' } as StagePlacement;
  const begin = (count: number) =>
    Promise.all(Array.from({ length: count }, () => host.runStage(stage, {}, call, placed)));
  await begin(600);
  expect(host.full()).toBe(false);
  await begin(100);
  expect(host.full()).toBe(true);
});
