import { expect, it } from 'vitest';
import { blocksOf } from '../../support/pages.js';
import { fakePools } from '../activities/pools/fakes.js';

const PAGE = 'docs/guides/on-call.md';

/** Alerts on much traffic, which need not notice its first event. */
const ON_TRAFFIC = ['MillraceRunsDoNotEnd'];

const alerts = blocksOf(PAGE, 'yaml').flatMap(({ text }) =>
  [...text.matchAll(/- alert: (\w+)\n *expr: (.+)/g)].map(([, name = '', expr = '']) => ({ name, expr })),
);

it('an alert on an increase is of a counter that begins at 0, or fires for a new series too', async () => {
  const { pools, metrics } = fakePools(['a']);
  pools.close();
  const samples = (await metrics.registry.metrics()).split('\n').filter((line) => line.endsWith(' 0'));
  const increases = alerts.flatMap(({ name, expr }) =>
    [...expr.matchAll(/increase\((millrace_\w+)(\{[^}]*\})?\[/g)].map(([, metric = '', labels = '']) => ({
      name,
      expr,
      metric,
      series: metric + labels,
    })),
  );
  expect(increases.length).toBeGreaterThan(4);
  const late = increases.filter(
    ({ name, expr, metric, series }) =>
      !ON_TRAFFIC.includes(name) &&
      !samples.some((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `)) &&
      !expr.includes(`(${series} unless ${series} offset 30m) > 0`),
  );
  expect(late.map(({ name }) => name)).toEqual([]);
});

it('calls that were cancelled are no failures of a model server', () => {
  const failures = alerts.filter(({ expr }) => /millrace_backend_calls_total\{code!/.test(expr));
  expect(failures.map(({ name }) => name)).toEqual(['MillraceModelServerFails']);
  // Those that a hedge has overtaken are none of these: a replica may hang behind hedges.
  for (const { expr } of failures) expect(expr).toContain('code!~"ok|aborted"');
});
