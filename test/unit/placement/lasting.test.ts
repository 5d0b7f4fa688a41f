import { describe, expect, it } from 'vitest';
import type { PlacementDocument } from '../../../placement/document/index.js';
import { makeLoad, makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { buildProblem, Judge, type PlannerInput } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { arrivals, drawOf, type Load, loadOf, percentile, repeatedLoad } from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';

const SLOW = { timeout: 240_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });

/** Times of the example in docs/reference/placement/profiles.md. */
const WHISPER = {
  format: 1,
  model: 'whisper',
  deviceKind: 'gpu',
  batching: 'dynamic',
  memory: { weights: '2GiB' },
  size: { variable: 'audio_s', typical: 5 },
  latency: [
    { batch: 1, size: 2, ...row(24.4) },
    { batch: 1, size: 20, ...row(111) },
    { batch: 8, size: 2, ...row(61.8) },
    { batch: 8, size: 20, ...row(342) },
  ],
};

interface Of {
  readonly profile: object & { readonly model: string };
  readonly load: Load;
  readonly devices: number;
  readonly p99Ms: number;
}

const inputOf = ({ profile, load, devices, p99Ms }: Of): PlannerInput => ({
  pipelines: [
    readPipelineShape(JSON.stringify({ format: 1, name: 'p', stages: [{ id: 's', model: profile.model }] }), 'p.json'),
  ],
  inventory: readInventory(
    `format: 1\nnodes:\n  - { name: n, devices: [{ kind: gpu, count: ${devices}, memory: 80GiB, pricePerHour: 2 }] }\n`,
  ),
  profiles: readProfiles([{ file: 'profile.json', text: JSON.stringify(profile) }]),
  load,
  objective: { p99Ms },
});

/** Four of five runs have 2 s of speech, the others 20 s. */
function clips(count: number, rate: number): Load {
  const audio_s = Float64Array.from({ length: count }, (_, run) => (drawOf(3, run, 1) < 0.2 ? 20 : 2));
  return makeLoad([{ trace: { timesMs: arrivals({ count, rate, seed: 2 }), sizes: { audio_s } } }], 1_000, 1);
}

function plan(input: PlannerInput, objective: 'cost' | 'rate'): PlacementDocument {
  let looks = 0;
  return makePlacement(input, { objective, timeLimitMs: 200, clock: () => looks++ });
}

/** Latencies by the second simulator if the load goes on for eight times as long, at the placement's rate. */
function goingOn({ profile, load }: Of, { pools, ratePerSecond }: PlacementDocument): Float64Array {
  const { timesMs, sizes } = repeatedLoad(load, 8);
  const rate = (1_000 * (timesMs.length - 1)) / ((timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0));
  return judgedBy({
    stages: [{ id: 's', model: profile.model }],
    pools: pools.map(({ model, variant, maxBatch, replicas }) => ({ model, variant, maxBatch, replicas })),
    profiles: [profile as unknown as OracleProfile],
    devices: Array.from({ length: 8 }, (_, i) => ({ id: `n/${i}`, kind: 'gpu' })),
    timesMs: timesMs.map((at) => (at * rate) / ratePerSecond),
    sizes,
    seed: 1,
  });
}

/** What a device serves of the load in a second, in batches of eight of its runs in their order. */
function servedPerSecond({ sizes: { audio_s = Float64Array.of() } }: Load): number {
  let ms = 0;
  for (let run = 0; run + 8 <= audio_s.length; run += 8) ms += audio_s.subarray(run, run + 8).includes(20) ? 342 : 61.8;
  return (8_000 * Math.floor(audio_s.length / 8)) / ms;
}

describe('a load that is short beside the objective', SLOW, () => {
  it('is promised at no higher rate than the devices sustain, in batches as their calls make them', () => {
    const of = { profile: WHISPER, load: clips(4_000, 100), devices: 8, p99Ms: 10_000 };
    const placement = plan(inputOf(of), 'rate');
    const sustained = 8 * servedPerSecond(of.load);
    // Of 10 s, 8 are as long as the trace at this rate is: without queues that must not grow, twice as much passes.
    expect(placement.ratePerSecond).toBeLessThanOrEqual(1.02 * sustained);
    expect(placement.ratePerSecond).toBeGreaterThanOrEqual(0.85 * sustained);
    expect(percentile(goingOn(of, placement).sort(), 0.99)).toBeLessThanOrEqual(1.1 * of.p99Ms);
  });

  it('gets as many devices as sustain the stretch of a long trace that is planned for', () => {
    const of = { profile: WHISPER, load: clips(30_000, 100), devices: 8, p99Ms: 60_000 };
    expect(of.load.timesMs).toHaveLength(20_000);
    const placement = plan(inputOf(of), 'cost');
    expect(100 / servedPerSecond(of.load)).toBeGreaterThan(3);
    expect(placement.costPerHour).toBe(4 * 2);
    expect(percentile(goingOn(of, placement).sort(), 0.99)).toBeLessThanOrEqual(1.1 * of.p99Ms);
  });

  it('is repeated where calls of several pipelines share batches', () => {
    const all = clips(4_000, 100);
    const audio_s = all.timesMs.map((_, run) => (run % 10 === 0 ? 20 : 2));
    const load = { ...all, pipelines: Uint16Array.from(audio_s, (size) => (size > 2 ? 1 : 0)), sizes: { audio_s } };
    const of = { profile: WHISPER, load, devices: 8, p99Ms: 10_000 };
    const input = inputOf(of);
    const [first] = input.pipelines;
    const placement = plan({ ...input, pipelines: first ? [first, { ...first, name: 'other' }] : [] }, 'rate');
    // Four of five batches of eight calls have a long one: they serve less than single calls.
    const sustained = 8 * Math.max(servedPerSecond(load), 1_000 / (0.9 * 24.4 + 0.1 * 111));
    expect(placement.ratePerSecond).toBeLessThanOrEqual(1.02 * sustained);
    expect(placement.ratePerSecond).toBeGreaterThanOrEqual(0.85 * sustained);
    expect(percentile(goingOn(of, placement).sort(), 0.99)).toBeLessThanOrEqual(1.1 * of.p99Ms);
  });

  it('may begin and end with a burst: repeated, they are not one of twice the runs', () => {
    const timesMs = Float64Array.from({ length: 600 }, (_, run) => Math.floor(run / 200) * 60_000 + (run % 200));
    const input = inputOf({ profile: WHISPER, load: loadOf(timesMs), devices: 1, p99Ms: 8_000 });
    const stages = ['s', 't'].map((id, i) => ({ id, model: WHISPER.model, after: ['s'].slice(0, i) }));
    const twice = readPipelineShape(JSON.stringify({ format: 1, name: 'p', stages }), 'p.json');
    const judge = new Judge(buildProblem({ ...input, pipelines: [twice] }));
    const one = { configs: [1], replicas: [{ pool: 0, devices: [0] }] };
    // A burst takes some 5 s of each minute.
    expect(judge.see(one).p99Ms).toBeGreaterThan(4_500);
    expect(judge.see(one).holds).toBe(true);
    expect(judge.holds(one)).toBe(true);
  });

  it('gets drafts whose batches suit it: no more devices are named than are needed', () => {
    // Batches of 32 have a long call nearly always, and take five times as long as their calls alone.
    const latency = [1, 32].flatMap((batch) => [2, 200].map((size) => ({ batch, size, ...row(20 + batch * size) })));
    const profile = { ...WHISPER, latency };
    const audio_s = Float64Array.from({ length: 4_000 }, (_, run) => (drawOf(3, run, 1) < 0.05 ? 200 : 2));
    const load = loadOf(arrivals({ count: 4_000, rate: 60, seed: 2 }), { audio_s });
    const input = inputOf({ profile, load, devices: 1, p99Ms: 3_000 });
    expect(() => plan(input, 'cost')).toThrow(/or 1 more gpu/);
    expect(plan(inputOf({ profile, load, devices: 2, p99Ms: 3_000 }), 'cost').costPerHour).toBe(4);
  });

  it('says so of a placement that is given, and not of one that has room', () => {
    const input = inputOf({ profile: WHISPER, load: clips(4_000, 400), devices: 8, p99Ms: 20_000 });
    const problem = buildProblem(input);
    const judge = new Judge(problem);
    const all = { configs: [1], replicas: Array.from({ length: 8 }, (_, device) => ({ pool: 0, devices: [device] })) };
    expect(judge.see(all).p99Ms).toBeLessThan(20_000);
    expect(judge.see(all).holds).toBe(false);
    expect(judge.holds(all)).toBe(false);
    expect(judge.holds(all, 0.45)).toBe(true);
    expect(judge.see(all, { speed: 0.45 }).holds).toBe(true);
  });
});
