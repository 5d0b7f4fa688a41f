import { expect, test } from 'vitest';
import { Statistics } from '../../../../gateway/kserve/statistics.js';

const failuresOf = (statistics: Statistics, tenant: string) =>
  statistics.row({ tenant, model: 'speaks' }, '1').inference_stats.fail.count;

test('of many tenants those that were used last are kept', () => {
  const statistics = new Statistics();
  for (let i = 0; i < 10_000; i++) statistics.failed({ tenant: `t${i}`, model: 'speaks' }, 1);
  // Is used again, and stays; reading keeps nothing.
  statistics.failed({ tenant: 't0', model: 'speaks' }, 1);
  expect(failuresOf(statistics, 'unknown')).toBe(0);
  statistics.failed({ tenant: 'new', model: 'speaks' }, 1);
  expect(['t0', 't1', 't2', 'new'].map((tenant) => failuresOf(statistics, tenant))).toEqual([2, 0, 1, 1]);
});
