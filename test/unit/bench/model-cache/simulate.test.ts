import { expect, it } from 'vitest';
import { greedyDual, leastRecent } from '../../../../activities/pools/model-cache/policy.js';
import { simulate } from '../../../../bench/model-cache/simulate.js';
import { modelsOf, requestsOf } from '../../../../bench/model-cache/workload.js';

const of = { models: 20, room: 5, requests: 1_000, seeds: Array.from({ length: 20 }, (_, i) => i) };

it('models of worth are loaded less often than the least recently used, and for less time', () => {
  const [ours, naive] = [simulate(greedyDual, of), simulate(leastRecent, of)];
  expect(ours.missRatio).toBeLessThan(0.95 * naive.missRatio);
  expect(ours.loadMs).toBeLessThan(0.85 * naive.loadMs);
});

it('with room for all models each is loaded once', () => {
  const { missRatio } = simulate(greedyDual, { ...of, room: of.models });
  expect(missRatio * of.requests).toBeLessThan(of.models + 1);
});

it('the requests of a seed are always the same, and change their favourites in the middle', () => {
  const models = modelsOf(20, 3);
  const requests = requestsOf(models, 400, 3);
  expect(requestsOf(modelsOf(20, 3), 400, 3)).toEqual(requests);
  const favourite = (some: typeof requests) => {
    const counts = new Map<string, number>();
    for (const { name } of some) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0];
  };
  expect(favourite(requests.slice(0, 200))).not.toBe(favourite(requests.slice(200)));
});
