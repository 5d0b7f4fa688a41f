import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, embed, exact, pipeline } from '../../../pipelines/index.js';
import { planSchema } from '../../../pipelines/plan/plan-schema.js';

const one = z.object({ n: z.number() });
const double = code('double', { input: one, output: one }, ({ n }) => ({ n: 2 * n }));
const doubled = pipeline('doubled', { input: one }, ({ input, stage }) => ({
  n: stage('a', double, { n: input.n }, { cache: exact({ pure: true, negative: '1m', ttl: '2h' }) }).n,
}));

describe('an exact cache in a plan', () => {
  it('is what the author states', () => {
    expect(doubled.plan.stages[0]).toMatchObject({
      cache: { kind: 'exact', ttlMs: 7_200_000, negativeMs: 60_000, pure: true },
    });
    expect(planSchema.safeParse(doubled.plan).error?.issues ?? []).toEqual([]);
  });

  it('is refused for a stage with effects, whoever has written the plan', () => {
    const plan = structuredClone(doubled.plan) as unknown as { stages: { cache: { pure?: true } }[] };
    for (const { cache } of plan.stages) delete cache.pure;
    expect(planSchema.safeParse(plan).error?.issues.map(({ message }) => message)).toEqual([
      expect.stringContaining('state pure: true'),
    ]);
  });

  it('keeps no failures of embeddings, whoever has written the plan', () => {
    const embedded = (negative: '1m' | undefined) =>
      pipeline('embedded', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
        vector: stage(
          'e',
          embed({ model: 'm' }),
          { text: input.text },
          { cache: exact({ ...(negative && { negative }) }) },
        ).embedding,
      }));
    expect(() => embedded('1m')).toThrow(/"e\.cache\.negative" does not apply to a stage of the kind "embed"/);
    const plan = structuredClone(embedded(undefined).plan) as unknown as {
      stages: { cache: { negativeMs?: number } }[];
    };
    for (const { cache } of plan.stages) cache.negativeMs = 60_000;
    expect(planSchema.safeParse(plan).error?.issues).toMatchObject([{ path: ['stages', 0, 'cache', 'negativeMs'] }]);
  });
});
