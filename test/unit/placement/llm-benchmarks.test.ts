import { describe, expect, it } from 'vitest';
import { importProfiles } from '../../../placement/import/index.js';
import { type Profile, readProfiles } from '../../../placement/profiles/index.js';
import { loadOf, stepAt, tableOf } from '../../../placement/simulator/index.js';
import { pool, simulate, stage } from './simulated.js';

interface Benchmark {
  /** Requests that the client has open at once. */
  readonly concurrency: number;
  readonly requests: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Requests have from half to one and a half times as many; else all have as many. */
  readonly isUneven?: boolean;
}

/** Differences of times that rounding leaves, and more passes than any benchmark here takes. */
const SETTLED_MS = 1;
const MOST_PASSES = 2_000;

const meanOf = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** Simulates a benchmark of a server: so many requests at first, and the next one whenever one ends. Its result is as vLLM writes it. */
function benchmarked(server: Profile, of: Benchmark) {
  const { concurrency, requests, tokensIn, tokensOut, isUneven = true } = of;
  const { decode } = server as Extract<Profile, { batching: 'continuous' }>;
  const maxBatch = Math.max(...decode.map(({ batch }) => batch));
  const sizes = {
    tokens_in: new Float64Array(requests).fill(tokensIn),
    tokens_out: Float64Array.from({ length: requests }, (_, i) =>
      Math.round(tokensOut * (isUneven ? 0.5 + ((i * 0.618) % 1) : 1)),
    ),
  };
  let times = new Float64Array(requests);
  for (let pass = 0; ; pass += 1) {
    const { latencyMs, observed, spanMs } = simulate(
      [stage(0, [])],
      [pool(tableOf(server), [0], [0], { maxBatch })],
      loadOf(times, sizes),
      {
        observed: [
          { stage: 0, metric: 'first' },
          { stage: 0, metric: 'token' },
        ],
      },
    );
    // Each pass knows the ends of more requests, and so when more others begin.
    const ends = times.map((at, i) => at + (latencyMs[i] ?? 0)).sort();
    const begun = times.map((_, i) => (i < concurrency ? 0 : (ends[i - concurrency] ?? 0)));
    if (pass > MOST_PASSES) expect.fail('the times of the requests do not settle');
    if (begun.every((at, i) => Math.abs(at - (times[i] ?? 0)) < SETTLED_MS)) {
      const [ttft = [], tpot = []] = observed;
      const tokens = requests * meanOf(sizes.tokens_out);
      return {
        ...{
          model_id: 'llm',
          max_concurrency: concurrency,
          completed: requests,
          total_input_tokens: requests * tokensIn,
        },
        ...{ total_output_tokens: tokens, output_throughput: (1_000 * tokens) / spanMs },
        ...{ mean_ttft_ms: meanOf(ttft), mean_tpot_ms: meanOf(tpot) },
      };
    }
    times = begun;
  }
}

const read = (profile: object): Profile => {
  const [one] = readProfiles([{ file: 'p.json', text: JSON.stringify(profile) }]);
  return one?.value ?? expect.fail('no profile is read');
};
/** A server with these steps, by the sequences in them; the largest number is its limit. */
const server = (steps: Readonly<Record<number, number>>, promptMs: number, tokens: number) =>
  read({
    ...{ format: 1, model: 'llm', deviceKind: 'h100', batching: 'continuous' },
    prefill: [{ tokens, p50Ms: promptMs }],
    decode: Object.entries(steps).map(([batch, p50Ms]) => ({ batch: Number(batch), p50Ms })),
  });
const imported = (runs: readonly object[]) =>
  read(
    importProfiles('vllm-bench', JSON.stringify(runs), 'v.json', {
      ...{ kinds: {}, memory: {}, perToken: {}, deviceKind: 'h100' },
    })[0] as object,
  );
const stepOf = (profile: Profile, batch: number) =>
  profile.batching === 'continuous' ? profile.decode.find((row) => row.batch === batch)?.p50Ms : undefined;

describe('a profile of a benchmark', () => {
  it.each([
    ['prompts of 2,000 tokens', server({ 1: 20, 8: 21, 32: 25 }, 100, 2_000), 2_000, 200],
    ['long prompts and short answers', server({ 1: 20, 8: 21, 32: 25 }, 300, 6_000), 6_000, 100],
    ['short prompts and long answers', server({ 1: 10, 8: 12, 32: 20 }, 15, 200), 200, 400],
  ])('has its throughput and its time per token when it is simulated: %s', (_, truth, tokensIn, tokensOut) => {
    const run = (profile: Profile, concurrency: number) =>
      benchmarked(profile, { concurrency, requests: Math.max(10, 6 * concurrency), tokensIn, tokensOut });
    const measured = [1, 8, 32].map((concurrency) => run(truth, concurrency));
    const profile = imported(measured);
    for (const was of measured) {
      const is = run(profile, was.max_concurrency);
      const said = JSON.stringify({ at: was.max_concurrency, was, is, profile });
      expect(Math.abs(is.output_throughput / was.output_throughput - 1), said).toBeLessThan(0.05);
      expect(Math.abs(is.mean_tpot_ms / was.mean_tpot_ms - 1), said).toBeLessThan(0.05);
    }
  });

  it.each([
    [1, true],
    [2, true],
    [10, true],
    [1, false],
    [2, false],
    [10, false],
  ])(
    'has the steps of the server after a benchmark of %d times the requests at once, uneven: %s',
    (times, isUneven) => {
      const truth = server({ 1: 20, 32: 25 }, 100, 2_000);
      const run = (concurrency: number, requests: number) =>
        benchmarked(truth, { concurrency, requests, tokensIn: 2_000, tokensOut: 200, isUneven });
      const profile = imported([run(1, 10), run(32, 32 * times)]);
      const batch = profile.batching === 'continuous' ? Math.max(...profile.decode.map((row) => row.batch)) : 0;
      const step = 20 + (5 * (batch - 1)) / 31;
      expect(stepOf(profile, batch)).toBeGreaterThan(0.9 * step);
      expect(stepOf(profile, batch)).toBeLessThan(1.1 * step);
    },
  );

  it('has the steps without the prompts of others', () => {
    // 31 prompts of 100 ms and 199 steps of 25 ms in a request's time.
    const run = (max_concurrency: number, mean_ttft_ms: number, mean_tpot_ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 6_400, mean_ttft_ms, mean_tpot_ms },
      ...{ total_input_tokens: 12_800_000, total_output_tokens: 1_280_000 },
    });
    const both = imported([run(1, 100, 20), run(32, 125, 25 + (31 * 100) / 199)]);
    expect(stepOf(both, 32)).toBeCloseTo(25, 0);
    expect(both.note).toBeUndefined();
    // Not below the step of fewer sequences, and as it is where no prompt was measured alone.
    expect(stepOf(imported([run(1, 900, 20), run(32, 950, 30)]), 32)).toBe(20);
    const crowded = imported([run(32, 125, 40)]);
    expect(stepOf(crowded, 32)).toBe(40);
    expect(crowded.note).toMatch(
      /, and its time per token contains prompts of others: run them at a concurrency of 1 too/,
    );
  });

  it('takes no longer for the prompts of others than a run waited for its own, however short those are that were measured alone', () => {
    const run = (max_concurrency: number, tokens: number, mean_ttft_ms: number, mean_tpot_ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 6_400, mean_ttft_ms, mean_tpot_ms },
      ...{ total_input_tokens: 6_400 * tokens, total_output_tokens: 1_280_000 },
    });
    // In proportion, 4,000 tokens would take 1,200 ms.
    const profile = imported([run(1, 100, 30, 20), run(8, 4_000, 300, 40)]);
    expect(stepOf(profile, 8)).toBeCloseTo(40 - (7 * 300) / 199, 1);
  });

  it('has one step of those with as many sequences and hardly differing lengths, since their noise would be a slope', () => {
    const run = (max_concurrency: number, tokens: number, mean_ttft_ms: number, mean_tpot_ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 10_240, mean_ttft_ms, mean_tpot_ms },
      ...{ total_input_tokens: 10_240 * tokens, total_output_tokens: 2_048_000 },
      // The server runs 256.
      output_throughput: (200_000 * Math.min(max_concurrency, 256)) / (5 + 199 * mean_tpot_ms),
    });
    const runs = [
      run(1, 1_000, 5, 20),
      run(256, 1_000.2, 60, 30),
      run(512, 1_000.5, 6_000, 31),
      run(1_024, 1_001, 18_000, 32),
    ];
    const profile = imported(runs);
    const { steps } = tableOf(profile) as Extract<ReturnType<typeof tableOf>, { batching: 'continuous' }>;
    expect(stepAt(steps, 256, 8_000)).toBeLessThan(40);
    expect(profile.note).toMatch(/: 256 of 1024, 256 of 512$/);
  });

  it('has as many sequences as the server ran, of those that were allowed', () => {
    const truth = server({ 1: 20, 16: 24 }, 50, 1_000);
    const run = (concurrency: number, requests: number) =>
      benchmarked(truth, { concurrency, requests, tokensIn: 1_000, tokensOut: 200 });
    const profile = imported([run(1, 10), run(64, 384)]);
    const batch = profile.batching === 'continuous' ? Math.max(...profile.decode.map((row) => row.batch)) : 0;
    expect(batch).toBeGreaterThanOrEqual(15);
    expect(batch).toBeLessThanOrEqual(16);
    expect(stepOf(profile, batch)).toBeGreaterThan(0.95 * 24);
    expect(stepOf(profile, batch)).toBeLessThan(1.05 * 24);
    expect(profile.note).toMatch(/of 64$/);
  });
});
