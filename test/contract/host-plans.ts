import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext } from '../../pipelines/run/index.js';
import { add, single } from './host-fixtures.js';
import type { SuiteHost } from './host-suite.js';

/** Runs of plans that no definition gives; part of `hostSuite`. */
export function hostPlans(name: string, host: () => SuiteHost): void {
  describe(`${name}: plans that no definition gives`, () => {
    const { plan } = single('broken', add, {});
    const broken = (change: (plan: JsonObject) => JsonObject): Partial<RunContext> => ({
      plan: change(plan as unknown as JsonObject) as unknown as RunContext['plan'],
    });
    const [stage] = plan.stages as unknown as readonly JsonObject[];
    const cases: readonly (readonly [string, Partial<RunContext>])[] = [
      ['steps that are no list', broken((own) => ({ ...own, stages: 7 }))],
      ['no steps', broken(({ stages: _, ...own }) => own)],
      ['a step that is nothing', broken((own) => ({ ...own, stages: [null] }))],
      [
        'control flow of an unknown kind',
        broken((own) => ({ ...own, stages: [{ id: 'a', kind: 'until', body: {} }] })),
      ],
      ['a stage of no placement', { placement: {} }],
      [
        'a loop without a body',
        broken((own) => ({ ...own, stages: [{ id: 'a', kind: 'each', over: [1], concurrency: 1 }] })),
      ],
      [
        'a loop without room',
        broken((own) => ({
          ...own,
          stages: [
            { id: 'l', kind: 'each', over: [1], concurrency: 0, onFailure: 'fail', body: { stages: [], output: 1 } },
          ],
        })),
      ],
      ['a race of nobody', broken((own) => ({ ...own, stages: [{ id: 'r', kind: 'race', contenders: {} }] }))],
      ['a step that was before', broken((own) => ({ ...own, stages: [stage as JsonObject, stage as JsonObject] }))],
      ['a step that nobody has', broken((own) => ({ ...own, output: { n: { $ref: 'nobody.n' } } }))],
      [
        'a step that reads a later one',
        broken((own) => ({
          ...own,
          stages: [
            { ...stage, input: { n: { $ref: 'b.n' } } },
            { ...stage, id: 'b' },
          ],
        })),
      ],
      ['an unknown operator', broken((own) => ({ ...own, output: { n: { $op: 'guess', of: [1] } } }))],
    ];
    it.each(cases)('fails a run with %s', async (_, context) => {
      const end = await host().run(single('broken', add, {}), { n: 1 }, { context });
      expect(end.code).toBe('INVALID_PIPELINE');
    });

    it('fails a run of an unknown plan version', async () => {
      const context = broken((own) => ({ ...own, planVersion: 99 }));
      expect((await host().run(single('broken', add, {}), { n: 1 }, { context })).code).toBe('UNKNOWN_PLAN_VERSION');
    });
  });
}
