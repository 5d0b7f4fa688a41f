import { describe, expect, it } from 'vitest';
import { enumerated } from '../../../bench/planner/enumerate.js';
import { strainedInstance } from '../../../bench/planner/instances.js';
import { generate } from '../../../placement/apply/index.js';
import { makeLoad, makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { delaysUpTo } from '../../../placement/planner/delays.js';
import { refutedBelow } from '../../../placement/planner/exhaust.js';
import {
  buildProblem,
  type Candidate,
  delayOf,
  Judge,
  LowerBound,
  leftOf,
  type PlannerInput,
  type Problem,
  simulatedPlacement,
} from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { placedPool, placementOf } from '../../support/placements.js';
import { options as applyOptions, inventory } from './apply/generated.js';
import { refusal } from './refusal.js';

const CLUSTER = `format: 1
nodes:
  - name: n
    devices:
      - { kind: l4, count: 4, memory: 24GiB, pricePerHour: 4 }
`;

/** A model whose batches of up to 16 take as long as a single call. */
const flat = (model: string, ms: number) => ({
  file: `${model}.json`,
  text: JSON.stringify({
    format: 1,
    model,
    deviceKind: 'l4',
    batching: 'dynamic',
    memory: { weights: '1GiB' },
    latency: [1, 2, 4, 8, 16].map((batch) => ({ batch, p50Ms: ms, p95Ms: ms, p99Ms: ms })),
  }),
});

/** Two stages of 100 and 80 ms in a chain, eight runs a second, and 540 ms for 99 % of them. */
const chain = (batchDelayMs?: number): PlannerInput => {
  const stages = [
    { id: 'a', model: 'a' },
    { id: 'b', model: 'b', after: ['a'] },
  ];
  return {
    pipelines: [readPipelineShape(JSON.stringify({ format: 1, name: 'chain', stages }), 'pipeline.json')],
    inventory: readInventory(CLUSTER),
    profiles: readProfiles([flat('a', 100), flat('b', 80)]),
    load: makeLoad([{ rate: 8, cv: 1 }], 540, 1),
    objective: { p99Ms: 540 },
    batchDelayMs,
  };
};

const placed = (batchDelayMs?: number) => {
  let looks = 0;
  return makePlacement(chain(batchDelayMs), { objective: 'cost', timeLimitMs: 3_000, clock: () => looks++ });
};

/** The candidate, and the same with batches of the first pool that wait and others that just stay together, and the other way round. */
function waitingLike(problem: Problem, candidate: Candidate): readonly Candidate[] {
  const [shortest = 0] = problem.delaysMs;
  const longest = problem.delaysMs.at(-1) ?? 0;
  const like = (first: number, others: number) => ({
    ...candidate,
    delaysMs: problem.pools.map((_, p) => (p === 0 ? first : others)),
  });
  return [candidate, like(longest, shortest), like(shortest, longest)];
}

const strained = (seed: number): Problem => {
  const problem = strainedInstance(seed);
  return { ...problem, delaysMs: delaysUpTo((problem.objective.p99Ms ?? 0) * 0.4) };
};

describe('batches that may wait to fill', () => {
  it('need fewer devices where a batch takes as long as a call', () => {
    const atOnce = placed();
    const waiting = placed(240);
    expect([atOnce.costPerHour, waiting.costPerHour]).toEqual([8, 4]);
    expect(waiting.predicted.p99Ms).toBeLessThanOrEqual(540);
    expect(waiting.bound).toBeLessThanOrEqual(4);
    expect(atOnce.pools.map(({ maxQueueDelayMs }) => maxQueueDelayMs)).toEqual([0, 0]);
    const delays = waiting.pools.map(({ maxQueueDelayMs }) => maxQueueDelayMs);
    expect(Math.max(...delays)).toBeGreaterThan(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(240);
    expect(waiting.pools.map(({ reason }) => reason).join()).toMatch(/its batches wait up to \d+ ms to fill/);
  });

  it('are part of a placement that is read again', () => {
    const placement = placed(240);
    const problem = buildProblem(chain());
    const candidate = candidateOf(problem, placement);
    expect(candidate && new Judge(problem).see(candidate).p99Ms).toBeCloseTo(placement.predicted.p99Ms, 2);
  });

  it('wait only where their pool has one replica, also when another one is lost', () => {
    const problem = buildProblem(chain(240));
    const replicas = [
      { pool: 0, devices: [0] },
      { pool: 0, devices: [1] },
      { pool: 1, devices: [1] },
    ];
    const candidate = { configs: [0, 0], replicas, delaysMs: [100, 5] };
    const delays = (of: Candidate) =>
      simulatedPlacement(problem, of).pools.map(({ maxQueueDelayMs }) => maxQueueDelayMs);
    expect([0, 1].map((pool) => delayOf(candidate, pool))).toEqual([0, 5]);
    expect(delays(candidate)).toEqual([0, 5]);
    expect(delays(leftOf(candidate, replicas.slice(1)))).toEqual([0, 5]);
    expect(delays({ ...candidate, replicas: replicas.slice(1) })).toEqual([100, 5]);
  });

  it('meet the objective nowhere below the bound, nor with devices that it excludes', { timeout: 120_000 }, () => {
    let held = 0;
    for (let seed = 1; seed <= 25; seed += 1) {
      const problem = strained(seed);
      const judge = new Judge(problem);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      const all = problem.devices.reduce((sum, { pricePerHour }) => sum + pricePerHour, 0);
      const bound = refutedBelow(problem, lower, all + 1, () => true);
      let tried = 0;
      for (const { candidate, cost } of enumerated(problem)) {
        const isOut = cost < bound * (1 - 1e-9) || lower.excludes(candidate.replicas);
        if (!isOut && tried > 150) continue;
        tried += 1;
        for (const next of waitingLike(problem, candidate)) {
          if (!judge.holds(next)) continue;
          held += 1;
          expect(isOut, `seed ${seed}: ${cost} below ${bound}: ${JSON.stringify(next)}`).toBe(false);
        }
      }
    }
    expect(held).toBeGreaterThan(200);
  });

  it('are known with other batch limits only where no batch was full', { timeout: 120_000 }, () => {
    let known = 0;
    for (let seed = 1; seed <= 12; seed += 1) {
      const problem = strained(seed);
      const judge = new Judge(problem);
      let turn = 0;
      for (const { candidate } of enumerated(problem)) {
        turn += 1;
        if (turn > 300) break;
        for (const next of waitingLike(problem, candidate)) {
          const before = judge.simulations;
          const reach = judge.reach(next);
          if (reach === 0 || judge.simulations > before) continue;
          known += 1;
          expect(new Judge(problem).reach(next), `seed ${seed}`).toBe(reach);
        }
      }
    }
    expect(known).toBeGreaterThan(100);
  });

  it('are refused for a server of vLLM, which has no such setting', () => {
    const pool = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', maxQueueDelayMs: 20 });
    expect(refusal(() => generate(placementOf([pool]), inventory, applyOptions))).toEqual({
      code: 'INVALID_PLACEMENT',
      fields: [expect.stringMatching(/^pools\.assistant\.replicas\.0: its batches wait to fill.*--batch-delay/)],
    });
  });
});
