import { describe, expect, it } from 'vitest';
import type { CacheRequest } from '../../../../activities/cache/cache-key.js';
import { Certified, judgedOf } from '../../../../activities/cache/certified.js';
import type { Candidate } from '../../../../activities/cache/similar-texts.js';
import { fused } from '../../../../activities/cache/verifier/fused.js';
import type { CacheAgreement } from '../../../../pipelines/plan/index.js';
import { Evidence, type EvidenceState, type Judged, STEPS, stepOf } from '../../../../stores/evidence/index.js';
import { never, request } from '../../../support/caches.js';

const verifier = { entailment: 'nli', label: 'entailment', timeoutMs: 500 };
const evidence = new Evidence(undefined as never);
const asked = request('How can I obtain a badge?', { maxErrorRate: 0.05, reask: 0, verifier });
const judged = judgedOf(asked, 'f');
const candidate = (tier: Candidate['tier'], score: number): Candidate => ({
  id: 'a'.repeat(32),
  entry: { text: 'How do I get a badge?', output: { text: 'A' } },
  similarity: 0.9,
  tier,
  score,
});
const at = { partition: 'p' };
const LAST = STEPS.length - 1;

interface Script {
  /** What the model says; undefined: nothing in time. */
  readonly entailment?: number;
  readonly identity?: string | undefined;
  /** Up to which step the labels of each score permit hits. */
  readonly alone?: number;
  readonly both?: number;
}

function open({ entailment, identity, alone = 0, both = 0 }: Script) {
  const asks: string[] = [];
  const certified = new Certified({
    evidence: {
      keyOf: (of: Judged) => evidence.keyOf(of),
      state: async (of: Judged) => ({ open: of.with ? both : alone, bound: of.with ? 0.04 : 0.03 }) as EvidenceState,
    },
    entailments: {
      known: () => identity,
      ask: async (_, __, cached) => {
        asks.push(cached);
        return identity === undefined || entailment === undefined ? undefined : { identity, entailment };
      },
    },
    random: () => 0.5,
  });
  return {
    asks,
    async decide(found: Candidate, more = {}) {
      const own = { ...asked, ...more };
      const weighed = await certified.weigh(own, found, judged, never());
      return { weighed, by: await certified.permitted(own, at, weighed) };
    },
  };
}

describe('a verifier with a model of entailment', () => {
  it('serves by the score of both while their labels permit it, and says so', async () => {
    const { decide } = open({ entailment: 0.95, identity: 'i', both: stepOf(fused(0.7, 0.95)) ?? 0, alone: 0 });
    const { by, weighed } = await decide(candidate('verifier', 0.7));
    expect(by).toEqual({
      tier: 'entailment',
      similarity: 0.9,
      score: fused(0.7, 0.95),
      entailment: 0.95,
      entry: `p:${'a'.repeat(32)}`,
      bound: 0.04,
    });
    // The answer is a label for both scores.
    expect(weighed.counts.map((each) => [each.judged.with?.pool, STEPS[each.step]])).toEqual([
      ['nli', 0.8581],
      [undefined, 0.69],
    ]);
  });

  it('does not serve what the model refuses, however open the verifier alone is', async () => {
    const { decide } = open({ entailment: 0.02, identity: 'i', both: LAST, alone: LAST });
    const { by, weighed } = await decide(candidate('verifier', 0.9));
    expect(by).toBeUndefined();
    // Still a label for the verifier alone.
    expect(weighed.counts.map((each) => each.judged.with)).toEqual([undefined]);
  });

  it('starts closed, whatever the labels of the verifier alone permit', async () => {
    const { decide } = open({ entailment: 0.99, identity: 'i', both: 0, alone: LAST });
    expect((await decide(candidate('verifier', 0.95))).by).toBeUndefined();
  });

  it.each<[string, Script]>([
    ['does not answer in time', { identity: 'i' }],
    ['cannot be identified', {}],
  ])('whose model %s decides by its own labels alone, and without them leaves it to the guard', async (_, script) => {
    const guardOnly = open({ ...script, both: LAST, alone: 0 });
    expect((await guardOnly.decide(candidate('verifier', 0.95))).by).toBeUndefined();
    expect((await guardOnly.decide(candidate('guard', 1))).by).toMatchObject({ tier: 'guard' });
    expect(guardOnly.asks).toEqual(['How do I get a badge?']);
    const measured = open({ ...script, both: 0, alone: LAST });
    expect((await measured.decide(candidate('verifier', 0.95))).by).toMatchObject({ tier: 'verifier', bound: 0.03 });
  });

  it('asks its model neither about the guard’s hits, nor where the surest word would not help, nor without an error rate', async () => {
    const { decide, asks } = open({ entailment: 1, identity: 'i', both: LAST, alone: LAST });
    const { weighed } = await decide(candidate('guard', 1));
    expect(weighed.counts.map(({ step }) => step)).toEqual([0, 0]);
    await decide(candidate('verifier', 0.005));
    expect((await decide(candidate('verifier', 0.9), { maxErrorRate: undefined })).by).toBeUndefined();
    expect((await decide(candidate('verifier', 0.9), { verifier: undefined })).by).toMatchObject({ tier: 'verifier' });
    expect(asks).toEqual([]);
  });

  it('has other labels with another model or none, and the same with another time limit', async () => {
    const keyWith = async (identity: string, more = {}) => {
      const { decide } = open({ entailment: 0.95, identity });
      const { weighed } = await decide(candidate('verifier', 0.9), { verifier: { ...verifier, ...more } });
      return evidence.keyOf((weighed.counts[0] as { judged: Judged }).judged);
    };
    const own = await keyWith('i');
    expect(await keyWith('i', { timeoutMs: 50 })).toBe(own);
    expect(await keyWith('j')).not.toBe(own);
    expect(own.startsWith(`${evidence.keyOf(judged)}:`)).toBe(true);
  });
});

describe('labels', () => {
  const keyOf = (more: Partial<CacheRequest> = {}) => evidence.keyOf(judgedOf(request('k', more), 'f'));

  it('by another rule of when answers agree are other evidence', () => {
    const rules: readonly CacheAgreement[] = [
      { by: 'text' },
      { by: 'fields', fields: ['label'] },
      { by: 'fields', fields: ['label', 'why'] },
      { by: 'similarity', atLeast: 0.7 },
      { by: 'similarity', atLeast: 0.9 },
      { by: 'model', model: 'judge' },
      { by: 'model', model: 'other' },
    ];
    expect(new Set(rules.map((agree) => keyOf({ agree }))).size).toBe(rules.length);
  });

  it('of a stage that names no rule are those by text, whatever its error rate', () => {
    expect(keyOf()).toBe(keyOf({ agree: { by: 'text' } }));
    expect(keyOf({ maxErrorRate: 0.02 })).toBe(keyOf({ maxErrorRate: 0.05 }));
  });
});

describe('the score of both', () => {
  it('rises with each of the two, and neither decides alone', () => {
    const values = [0, 0.005, 0.1, 0.3, 0.5, 0.7, 0.9, 0.995, 1];
    for (const fixed of values)
      for (const [i, value] of values.entries()) {
        const next = values[i + 1] ?? value;
        expect(fused(next, fixed)).toBeGreaterThanOrEqual(fused(value, fixed));
        expect(fused(fixed, next)).toBeGreaterThanOrEqual(fused(fixed, value));
      }
    expect(fused(0.3, 0.9)).toBeGreaterThan(fused(0.3, 0.5));
    for (const alone of [fused(1, 0), fused(0, 1)]) expect(stepOf(alone)).toBeUndefined();
    expect(fused(0.8, 0.8)).toBeCloseTo(0.8, 9);
    expect(fused(1, 1)).toBeGreaterThanOrEqual(STEPS[1] as number);
  });
});
