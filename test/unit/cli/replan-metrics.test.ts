import { expect, it } from 'vitest';
import { serveFigures } from '../../../cli/replan-metrics.js';
import { figuresOf, type Measured } from '../../../placement/replan/index.js';
import { freePort } from '../../support/free-port.js';
import { placedPool, placementOf } from '../../support/placements.js';
import { testSettings } from '../../support/settings.js';

const made = placementOf(
  [placedPool('whisper', [['g/1']])],
  { 'voice/hear': 'whisper', 'voice/spell': 'whisper' },
  {
    'voice/hear': { waitMs: 10, waitP99Ms: 50, serviceMs: 50, batch: 1 },
    'voice/spell': { waitMs: 5, waitP99Ms: 50, serviceMs: 5, batch: 1 },
  },
);
const placement = {
  ...made,
  predicted: { ...made.predicted, p95Ms: 200, errorBudgets: [{ of: 'p99', beyond: 0.003, spent: 0.3 }] },
};
const measured: Measured = {
  windowMs: 100_000,
  started: { voice: 200 },
  completed: 198,
  failed: 2,
  runs: { count: 198, p50Ms: 50, p95Ms: 250 },
  budgets: [{ of: 'p99', share: 0.99, ms: 400, count: 200, late: 1 }],
  stages: { 'voice/hear': { calls: 20, meanMs: 90 } },
  services: {},
  lost: [],
};
const found = { drift: [{ what: 'p95' as const, of: 'runs', predicted: 200, measured: 250 }] };

it('compares figure by figure, in seconds and shares', () => {
  expect(figuresOf(placement, measured)).toEqual([
    { figure: 'rate', of: '', predicted: 1, measured: 2 },
    { figure: 'p95_seconds', of: '', predicted: 0.2, measured: 0.25 },
    { figure: 'stage_seconds', of: 'voice/hear', predicted: 0.06, measured: 0.09 },
    { figure: 'stage_seconds', of: 'voice/spell', predicted: 0.01, measured: undefined },
    { figure: 'error_budget', of: 'p99', predicted: 0.3, measured: expect.closeTo(1.495) },
  ]);
});

it('serves them to Prometheus, as of the last measurement', async () => {
  const port = await freePort();
  const settings = testSettings();
  const metrics = await serveFigures(settings, port);
  const get = async (at: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${at}`);
    return { status: answer.status, text: await answer.text() };
  };
  try {
    expect((await get('/readyz')).status).toBe(503);
    metrics.see({
      placement,
      measured,
      found,
    });
    expect((await get('/readyz')).status).toBe(200);
    const { text } = await get('/metrics');
    expect(text).toContain('millrace_placement_predicted{figure="p95_seconds",of=""} 0.2');
    expect(text).toContain('millrace_placement_measured{figure="stage_seconds",of="voice/hear"} 0.09');
    expect(text).not.toContain('millrace_placement_measured{figure="stage_seconds",of="voice/spell"}');
    expect(text).toContain('millrace_placement_drift{what="p95",of="runs"} 1');
    const [, at] = /^millrace_placement_measured_at_seconds (\S+)$/m.exec(text) ?? [];
    expect(Math.abs(Number(at) - Date.now() / 1_000)).toBeLessThan(60);
    await expect(serveFigures(settings, port)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: '--metrics-port' }] },
    });
    metrics.see({
      placement,
      measured,
      found: { drift: [] },
    });
    expect((await get('/metrics')).text).not.toContain('millrace_placement_drift{');
  } finally {
    metrics.close();
  }
});
