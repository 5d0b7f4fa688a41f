import { clockAfter, type ModelUse, victimsFor, type Worth } from '../../activities/pools/model-cache/policy.js';
import { HALF_LIFE_MS } from '../../activities/pools/model-cache/shared-models.js';
import { type BenchModel, modelsOf, requestsOf } from './workload.js';

/** Time between two requests, in milliseconds. */
const BETWEEN_MS = 500;
const BYTES = 2 ** 20;

export interface Simulated {
  /** Share of the requests whose model was not loaded. */
  readonly missRatio: number;
  /** Milliseconds of loading for each request. */
  readonly loadMs: number;
}

/** What a policy does with requests that come one after the other, without servers: many seeds in little time. */
export function simulate(
  worth: Worth,
  of: { readonly models: number; readonly room: number; readonly requests: number; readonly seeds: readonly number[] },
): Simulated {
  const all = of.seeds.map((seed) => {
    const models = modelsOf(of.models, seed);
    return oneSeed(worth, of.room, requestsOf(models, of.requests, seed));
  });
  const mean = (value: (one: Simulated) => number) => all.reduce((sum, one) => sum + value(one), 0) / all.length;
  return { missRatio: mean(({ missRatio }) => missRatio), loadMs: mean(({ loadMs }) => loadMs) };
}

function oneSeed(worth: Worth, room: number, requests: readonly BenchModel[]): Simulated {
  const known = new Map<string, ModelUse>();
  const loaded = new Set<string>();
  let clock = 0;
  let misses = 0;
  let loadMs = 0;
  for (const [i, model] of requests.entries()) {
    const at = i * BETWEEN_MS;
    if (!loaded.has(model.name)) {
      misses += 1;
      loadMs += model.loadMs;
      const idle = [...loaded].flatMap((name) => known.get(name) ?? []);
      const victims = victimsFor((loaded.size + 1 - room) * BYTES, idle, worth) ?? [];
      clock = clockAfter(clock, victims, worth);
      for (const { name } of victims) loaded.delete(name);
      loaded.add(model.name);
    }
    const before = known.get(model.name);
    const uses = before ? before.uses * 2 ** (-(at - before.at) / HALF_LIFE_MS) + 1 : 1;
    known.set(model.name, { name: model.name, bytes: BYTES, uses, at, clock, loadMs: model.loadMs });
  }
  return { missRatio: misses / requests.length, loadMs: loadMs / requests.length };
}
