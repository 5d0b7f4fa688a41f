import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import { type ContinuousProfile, readProfile } from '../../../placement/profiles/index.js';
import { tokensPerStep } from '../../../placement/profiles/speculative.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { llmProfile, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

const ALONE = {
  format: 1,
  model: 'assistant',
  deviceKind: 'a100',
  batching: 'continuous',
  memory: { weights: '8GiB', perToken: '128KiB' },
  size: { typicalIn: 200, typicalOut: 80 },
  prefill: [{ tokens: 200, p50Ms: 40 }],
  decode: [
    { batch: 1, tokens: 250, p50Ms: 10, p95Ms: 11, p99Ms: 12, meanMs: 10.2 },
    { batch: 9, tokens: 250, p50Ms: 14 },
    { batch: 1, tokens: 4_000, p50Ms: 20 },
  ],
};
const read = (speculative?: object): ContinuousProfile =>
  readProfile(JSON.stringify({ ...ALONE, ...(speculative && { speculative }) }), 'a.json').value as ContinuousProfile;

describe('speculative decoding', () => {
  it('yields the tokens of equation 1', () => {
    expect(tokensPerStep({ tokens: 4, acceptance: 0 })).toBe(1);
    expect(tokensPerStep({ tokens: 4, acceptance: 1 })).toBe(5);
    expect(tokensPerStep({ tokens: 4, acceptance: 0.8 })).toBeCloseTo(1 + 0.8 + 0.64 + 0.512 + 0.4096);
    // Simulated: accepted from the first on, until one is not.
    let state = 11;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    let sum = 0;
    for (let i = 0; i < 100_000; i += 1) {
      let accepted = 0;
      while (accepted < 3 && random() < 0.6) accepted += 1;
      sum += accepted + 1;
    }
    expect(tokensPerStep({ tokens: 3, acceptance: 0.6 })).toBeCloseTo(sum / 100_000, 1);
  });

  it('divides the time of a step that checks as many tokens as a larger batch', () => {
    const [first, full, long] = read({ tokens: 4, acceptance: 0.8 }).decode;
    const each = 3.3616;
    // A step of 5 sequences takes 12 ms, one of 45 takes 32 ms; at the longer context it grows alike.
    expect(first?.p50Ms).toBeCloseTo(12 / each);
    expect(first?.p99Ms).toBeCloseTo((12 * 1.2) / each);
    expect(first?.meanMs).toBeCloseTo((10.2 * 1.2) / each);
    expect(full?.p50Ms).toBeCloseTo(32 / each);
    expect(full).not.toHaveProperty('p95Ms');
    expect(long?.p50Ms).toBeCloseTo((20 * 1.2) / each);
    expect(read({ tokens: 4, acceptance: 0.8, draftCost: 0.1 }).decode[0]?.p50Ms).toBeCloseTo((12 * 1.4) / each);
  });

  it('is dearer than none where nothing is accepted, and changes no rows that have it already', () => {
    expect(read({ tokens: 4, acceptance: 0 }).decode[0]?.p50Ms).toBeCloseTo(12);
    expect(read({ tokens: 4, acceptance: 0.8, included: true }).decode).toEqual(read().decode);
  });

  it.each([
    [{ tokens: 0, acceptance: 0.8 }, /speculative\.tokens: at least 1/],
    [{ tokens: 4, acceptance: 80 }, /speculative\.acceptance: from 0 to 1/],
    [{ tokens: 4, acceptance: 0.8, draft: 1 }, /speculative\.draft: no such field/],
  ])('is refused by line: %j', (speculative, message) => {
    const { code, fields } = refusal(() => read(speculative));
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });
});

describe('a plan with a variant that decodes speculatively', () => {
  const variant = (acceptance: number) => {
    const { text } = llmProfile('assistant', 'a100', 40, 10);
    const profile = { ...JSON.parse(text), variant: 'ngram', speculative: { tokens: 4, acceptance } };
    return { file: 'ngram.json', text: JSON.stringify(profile) };
  };
  const plan = (acceptance: number) => {
    const input = plannerInput({
      pipelines: [JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'answer', model: 'assistant' }] })],
      profiles: [llmProfile('assistant', 'a100', 40, 10), variant(acceptance)],
      p99Ms: 700,
    });
    let ticks = 0;
    return makePlacement(
      { ...input, load: loadOf(arrivals({ count: 600, rate: 1, seed: 1 })) },
      { objective: 'cost', timeLimitMs: 300, clock: () => ticks++ },
    );
  };

  it('takes it where only it is quick enough, says what is assumed, and has vLLM’s configuration', () => {
    const placement = plan(0.8);
    expect(placement.pools[0]).toMatchObject({
      variant: 'ngram',
      speculative: { method: 'ngram', num_speculative_tokens: 4, prompt_lookup_max: 4 },
    });
    expect(placement.assumptions).toContainEqual(
      expect.stringMatching(/^assistant \(ngram\): 80 % of 4 drafted tokens accepted, an assumption;/),
    );
  });

  it('is infeasible where nothing is accepted', () => {
    expect(refusal(() => plan(0)).code).toMatch(/PLACEMENT_INFEASIBLE|SLO_UNREACHABLE/);
  });
});
