import { describe, expect, it } from 'vitest';
import { measuredLoad } from '../../../cli/replan-measure.js';
import { readPlacement } from '../../../placement/document/index.js';
import { makePlacement } from '../../../placement/explain/index.js';
import { buildProblem, Judge, type PlannerInput } from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { type Measured, replan, TOLERANCE } from '../../../placement/replan/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { llmProfile, plannerInput } from '../placement/placement-files.js';

const P99_MS = 20_000;
const CHAT = JSON.stringify({ format: 1, name: 'chat', stages: [{ id: 'answer', model: 'llm' }] });
/** Its typical answer has 80 tokens. */
const files = plannerInput({ pipelines: [CHAT], profiles: [llmProfile('llm', 'a100', 20, 10)], p99Ms: P99_MS });

/** One run of twenty answers a thousand tokens, and the others half of the typical ones. */
function traced(rate: number): PlannerInput {
  const timesMs = arrivals({ count: 4_000, rate, seed: 3 });
  const of = (long: number, short: number) => timesMs.map((_, run) => (run % 20 === 7 ? long : short));
  return { ...files, load: loadOf(timesMs, { tokens_in: of(50, 400), tokens_out: of(1_000, 40) }) };
}

/** Time that is counted in looks at the clock: the same plan on any machine. */
const options = () => {
  let ticks = 0;
  return { objective: 'cost' as const, timeLimitMs: 400, clock: () => ticks++ };
};

describe('the load that a placement is planned again for', { timeout: 120_000 }, () => {
  const placement = readPlacement(JSON.stringify(makePlacement(traced(1), options())));
  const { predicted } = placement;
  const { waitMs = 0, serviceMs = 0 } = predicted.stages['chat/answer'] ?? {};
  /** All is as predicted, at so many runs a second. */
  const measured = (rate: number): Measured => ({
    windowMs: 400_000,
    started: { chat: 400 * rate },
    completed: 400 * rate,
    failed: 0,
    runs: { count: 400 * rate, p50Ms: predicted.p50Ms, p95Ms: predicted.p95Ms },
    budgets: [],
    stages: { 'chat/answer': { calls: 200, meanMs: waitMs + serviceMs } },
    services: { llm: { calls: 200, meanMs: serviceMs } },
    lost: [],
  });
  const load = (rate: number, of = placement) => measuredLoad(of, measured(rate), files, { cv: 1, seed: 1 });
  const again = (rate: number) =>
    replan(
      { placement, measured: measured(rate), input: { ...files, load: load(rate) }, tolerance: TOLERANCE },
      options(),
    );

  it('has the sizes of the trace that it was made from: what is as predicted has not drifted', () => {
    const { drift, expected } = again(1);
    expect(drift).toEqual([]);
    expect((expected?.p99Ms ?? 0) / predicted.p99Ms).toBeGreaterThan(0.8);
    expect((expected?.p99Ms ?? 0) / predicted.p99Ms).toBeLessThan(1.25);
  });

  it('has their tail at another rate too, so that the proposal meets the objective', () => {
    const { drift, proposal } = again(2);
    expect(drift.map(({ what }) => what)).toEqual(['rate']);
    if (proposal === null) expect.fail('there is a proposal');
    // A typical answer takes a second.
    expect(proposal.predicted.p99Ms).toBeGreaterThan(9_000);
    expect(proposal.sizes).toEqual(placement.sizes);
    const problem = buildProblem(traced(2));
    const candidate = candidateOf(problem, proposal);
    if (candidate === undefined) expect.fail('the files have what is proposed');
    expect(new Judge(problem).see(candidate).p99Ms).toBeLessThan(1.1 * P99_MS);
  });

  it('is no reason to refuse the files where it cannot meet the objective', () => {
    const asRun = { ...measured(1), services: {} };
    // Every run of this load answers 4,000 tokens, which take 40 s.
    const long = { ...placement, sizes: { chat: { tokens_in: [50], tokens_out: [4_000] } } };
    const input = { ...files, load: load(1, long) };
    expect(() => buildProblem(input)).toThrow(/--slo-p99/);
    const { drift, expected } = replan({ placement: long, measured: asRun, input, tolerance: TOLERANCE }, options());
    expect(drift).toEqual([]);
    expect(expected?.p50Ms).toBeGreaterThan(40_000);
  });

  it('has typical sizes for a placement of an earlier release, which has kept none', () => {
    const { sizes: _, ...before } = placement;
    expect(load(1, before).sizes).toEqual({});
    expect(Object.keys(load(1).sizes)).toEqual(['tokens_in', 'tokens_out']);
  });
});
