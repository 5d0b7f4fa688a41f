import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { type Comparison, Labels } from '../../../../activities/cache/labels.js';
import type { Evidence } from '../../../../stores/evidence/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';

it('keeps levels of the first tenants only: a metric keeps each for the life of the process', async () => {
  const metrics = createMetrics(new Registry());
  const labelled: string[] = [];
  const evidence = {
    label: async () => void labelled.push('label'),
    state: async () => ({ open: 1, bound: 0.5 }),
  } as unknown as Evidence;
  const labels = new Labels({
    evidence,
    embedders: undefined as never,
    metrics,
    onFailure: (_, error) => {
      throw error;
    },
  });
  const output = { text: 'Paris.' };
  for (let i = 0; i < 300; i++) {
    const comparison = {
      request: { pipeline: 'p', stage: 's', tenant: `t${i}`, key: 'k' },
      weighed: { candidate: { entry: { text: 'k', output }, tier: 'guard' }, counts: [{ judged: {}, step: 0 }] },
      output,
    } as unknown as Comparison;
    await labels.add(comparison, new AbortController().signal);
  }
  expect(labelled).toHaveLength(300);
  const { values } = await metrics.cacheErrorBound.get();
  expect(values).toHaveLength(200);
  expect(values.every(({ labels }) => /^t\d+$/.test(String(labels.tenant)))).toBe(true);
});
