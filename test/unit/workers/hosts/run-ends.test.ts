import type { WorkflowInfo } from '@temporalio/workflow';
import { beforeEach, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '../../../../telemetry/metrics.js';
import { runSinks } from '../../../../workers/hosts/run-ends.js';
import type { EndStatus } from '../../../../workflows/run-end.js';

let metrics: Metrics;
let ended: (
  info: { workflowId: string; runId?: string; type?: string },
  status?: EndStatus,
  startedAt?: number,
) => void;
beforeEach(() => {
  metrics = createMetrics();
  const sinks = runSinks(metrics);
  ended = ({ workflowId, runId = workflowId, type = 'ask' }, status = 'succeeded', startedAt = Date.now()) =>
    void sinks.runs.ended.fn({ workflowId, runId, workflowType: type } as WorkflowInfo, status, startedAt);
});

const counts = async () =>
  Object.fromEntries(
    (await metrics.runs.get()).values.map(({ labels, value }) => [`${labels.pipeline} ${labels.status}`, value]),
  );
const seconds = async (name: string) =>
  (await metrics.runSeconds.get()).values.find(
    ({ metricName }) => metricName === `millrace_run_duration_seconds_${name}`,
  )?.value;

test('a run counts once, also where its last task is done again', async () => {
  ended({ workflowId: 'ask-1', runId: 'r' });
  ended({ workflowId: 'ask-1', runId: 'r' });
  ended({ workflowId: 'ask-2' }, 'failed');
  ended({ workflowId: 'tell-1', type: 'tell' }, 'cancelled');
  expect(await counts()).toEqual({ 'ask succeeded': 1, 'ask failed': 1, 'tell cancelled': 1 });
});

test('a child run is a part of its run', async () => {
  ended({ workflowId: 'ask-1/far' });
  ended({ workflowId: 'ask-1/far/deeper' });
  expect(await counts()).toEqual({});
});

test('its time is from its start, and never below nothing where clocks differ', async () => {
  // So long that it does not matter if the machine stands still for seconds.
  ended({ workflowId: 'ask-1' }, 'succeeded', Date.now() - 2_000_000);
  expect(await seconds('sum')).toBeGreaterThanOrEqual(2_000);
  expect(await seconds('sum')).toBeLessThan(2_030);
  ended({ workflowId: 'ask-2' }, 'succeeded', Date.now() + 60_000);
  expect(await seconds('count')).toBe(2);
  expect(await seconds('sum')).toBeLessThan(2_030);
});

test('names that nobody bounds make no series without bound', async () => {
  for (let i = 0; i < 1_000; i++) ended({ workflowId: `x${i}-1`, type: `x${i}` });
  const all = await counts();
  expect(Object.keys(all).length).toBe(201);
  expect(all['_other succeeded']).toBe(800);
});
