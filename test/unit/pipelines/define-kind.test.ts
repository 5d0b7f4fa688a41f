import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { exampleOf } from '../../../measure/profiling/examples.js';
import type { SampleAudio } from '../../../measure/profiling/sample-audio.js';
import { agent, defineKind, image, pipeline, pipelineTool, stageTool } from '../../../pipelines/index.js';
import { explain, svg, warningsOf } from '../../../pipelines/inspect/index.js';
import { isStage, type StagePlan } from '../../../pipelines/plan/index.js';
import { planSchema } from '../../../pipelines/plan/plan-schema.js';
import * as segments from '../../../pipelines/plan/segments.js';
import { changesElsewhere } from '../../../pipelines/stages/index.js';
import { place } from '../../../placement/place.js';
import { shapeOf } from '../../../placement/workload/index.js';
import { keywords } from '../../support/acme/keywords.js';
import { tagged, taggedInline } from '../../support/acme/pipelines.js';

const publish = defineKind({
  name: 'acme/publish',
  input: z.object({ picture: image(), title: z.string().default('untitled') }),
  output: z.object({ url: z.string() }),
  effects: 'intended',
});

const stageOf = (plan: { stages: readonly unknown[] }, i = 0) => plan.stages[i] as StagePlan;
const text = z.object({ text: z.string() });

describe('a kind made with defineKind', () => {
  it('is in the plan with its name, its effects and its options, defaults included', () => {
    const { plan, kinds } = pipeline('p', { input: text }, ({ input, stage }) => {
      const { keywords: found } = stage('find', keywords({ model: 'words' }), { text: input.text });
      return { found };
    });
    expect(stageOf(plan)).toMatchObject({
      id: 'find',
      kind: 'acme/keywords',
      effects: 'none',
      model: 'words',
      with: { most: 5 },
      input: { text: { $ref: 'input.text' } },
      policy: { timeout: { attemptMs: 10_000 } },
    });
    expect([...kinds.keys()]).toEqual(['acme/keywords']);
    expect(planSchema.safeParse(plan).error).toBeUndefined();
  });

  it.each<[string, () => unknown, string]>([
    ['no namespace', () => defineKind({ ...of, name: 'draw' }), '"draw" is not the name of a stage kind'],
    ['no schema', () => defineKind({ ...of, input: {} as never }), '"acme/draw.input" must be a zod schema'],
    [
      'unknown effects',
      () => defineKind({ ...of, effects: 'many' as never }),
      '"acme/draw.effects" must be one of none',
    ],
    ['an option named model', () => defineKind({ ...of, options: z.object({ model: z.string() }) }), 'options.model"'],
    [
      'a wrong policy',
      () => defineKind({ ...of, policy: { retry: { attempts: 0 } } }),
      'acme/draw.policy.retry.attempts',
    ],
    ['a misspelled field', () => defineKind({ ...of, effect: 'none' } as never), '"acme/draw.effect" is not an option'],
  ])('with %s is INVALID_PIPELINE', (_, define, message) => {
    expect(define).toThrow(
      expect.objectContaining({ code: 'INVALID_PIPELINE', message: expect.stringContaining(message) }),
    );
  });

  it.each<[string, object, string]>([
    ['an option that it does not have', { model: 'words', mots: 3 }, '"acme/keywords.mots" is not an option'],
    ['a value that does not fit', { model: 'words', most: 0 }, '"acme/keywords.most"'],
  ])('refuses %s', (_, options, message) => {
    expect(() => keywords(options as never)).toThrow(message);
  });

  it('refuses a stage without a pool, and input that does not fit', () => {
    const wrong = (model: string, given: object) => () =>
      pipeline('p', { input: text }, ({ stage, input }) => ({
        found: stage('find', keywords({ model }), { text: input.text, ...given }).keywords,
      }));
    expect(wrong('', {})).toThrow('"find.model"');
    expect(wrong('words', { txt: 'x' })).toThrow('"find.input.txt" is not one of its fields');
  });

  it('refuses two kinds of one name in one pipeline', () => {
    const other = defineKind({ ...of, name: 'acme/keywords' });
    expect(() =>
      pipeline('p', { input: text }, ({ input, stage }) => {
        stage('a', keywords({ model: 'words' }), { text: input.text });
        return { text: stage('b', other({ model: 'words' }), { text: input.text }).text };
      }),
    ).toThrow('two stage kinds are named "acme/keywords"');
  });

  it('keeps the kinds of tools, of pipelines that are tools, and of pipelines that it runs', () => {
    const inner = pipeline('inner', { input: text }, ({ input, stage }) => ({
      text: stage('draw', defineKind(of)({ model: 'd' }), { text: input.text }).text,
    }));
    const search = stageTool({ name: 'find', description: 'Keywords', use: keywords({ model: 'words' }) });
    const outer = pipeline('outer', { input: text }, ({ input, stage, run }) => {
      run('first', tagged, { text: input.text });
      const tools = [search, pipelineTool(inner, { description: 'Draws' })];
      return { text: stage('ask', agent({ model: 'm', tools }), { prompt: input.text }).text };
    });
    expect([...outer.kinds.keys()].sort()).toEqual(['acme/draw', 'acme/keywords']);
    expect(stageOf(outer.plan, 1).with).toMatchObject({ tools: [{ kind: 'acme/keywords', effects: 'none' }, {}] });
  });

  it('may be a fallback, with other options', () => {
    const { plan } = pipeline('p', { input: text }, ({ input, stage }) => {
      const fallback = [keywords({ model: 'b', most: 1 })];
      return { found: stage('find', keywords({ model: 'words' }), { text: input.text }, { fallback }).keywords };
    });
    expect(stageOf(plan).fallback).toEqual([{ kind: 'acme/keywords', effects: 'none', model: 'b', with: { most: 1 } }]);
  });
});

const of = { name: 'acme/draw', input: text, output: text, effects: 'none' as const };

describe('what is done with plans', () => {
  const pools = (name: string) => ({
    connector: 'acme',
    devices: ['gpu0'],
    kind: name === 'words' ? 'acme/keywords' : 'chat',
    capabilities: new Set<string>(),
  });

  it('places it on the pool of its kind', () => {
    expect(place(tagged.plan, pools, 'q')).toEqual({ find: { connector: 'acme', device: 'gpu0', queue: 'q' } });
    expect(() => place(tagged.plan, () => ({ ...pools('words'), kind: 'acme/other' }), 'q')).toThrow(
      'the pool "words" serves acme/other stages, not acme/keywords',
    );
  });

  it('does not take an option for a capability', () => {
    const kind = defineKind({ ...of, options: z.object({ schema: z.string(), embedder: z.string() }) });
    const { plan } = pipeline('p', { input: text }, ({ input, stage }) => ({
      text: stage('draw', kind({ model: 'd', schema: 'svg', embedder: 'none' }), { text: input.text }).text,
    }));
    expect(place(plan, () => ({ ...pools('d'), kind: 'acme/draw' }), 'q')).toHaveProperty('draw');
  });

  it('runs it in a segment where it is inline', () => {
    expect(taggedInline.plan.stages.every(segments.isInline)).toBe(true);
    expect(tagged.plan.stages.some(segments.isInline)).toBe(false);
  });

  it('knows whether its calls change anything', () => {
    expect(changesElsewhere(stageOf(tagged.plan))).toBe(false);
    expect(changesElsewhere({ kind: 'acme/publish', effects: 'intended' })).toBe(true);
    expect(changesElsewhere({ kind: 'acme/publish' })).toBe(true);
  });

  it('explains its policy, with the defaults of the kind and its calls', () => {
    const [stage] = explain(tagged, segments, () => undefined).stages;
    expect(stage?.policy).toContainEqual({ option: 'timeout.attempt', value: 10_000, from: 'kind default' });
    expect(stage?.worst.calls).toBe(6);
  });

  it('warns of an output that nobody uses, unless the call has its own purpose', () => {
    const unused = pipeline('p', { input: text.extend({ picture: image() }) }, ({ input, stage }) => {
      stage('publish', publish({ model: 'site' }), { picture: input.picture, title: input.text });
      stage('find', keywords({ model: 'words' }), { text: input.text });
      return { text: input.text };
    });
    expect(warningsOf(unused).map(({ stage, code }) => [stage, code])).toEqual([['find', 'UNUSED_STAGE']]);
  });

  it('draws it', () => {
    expect(svg(tagged.plan, segments)).toContain('acme/keywords');
  });

  it('takes its time on a device in a workload', () => {
    const { stages, assumptions } = shapeOf(tagged.plan);
    expect(stages.map(({ id, model }) => [id, model])).toEqual([['find', 'words']]);
    expect(assumptions).toEqual([]);
  });

  it('measures it by its example', () => {
    const none = undefined as unknown as SampleAudio;
    const example = exampleOf('acme/keywords', { most: 5 }, none, tagged.kinds);
    expect(example?.input(1, 4)).toEqual({ text: 'text 4 about boats and grain' });
    expect(exampleOf('acme/publish', {}, none, tagged.kinds)).toBeUndefined();
  });

  it('refuses a plan that leaves out the effects, or states those of Millrace’s kinds', () => {
    const [stage] = tagged.plan.stages.filter(isStage);
    const { effects: _, ...without } = stage as StagePlan;
    const plan = (changed: object) => planSchema.safeParse({ ...tagged.plan, stages: [changed] }).success;
    expect(plan(stage as object)).toBe(true);
    expect(plan(without)).toBe(false);
    expect(plan({ ...without, kind: 'embed', effects: 'none' })).toBe(false);
    expect(plan({ ...stage, kind: 'acme/Draw' })).toBe(false);
  });
});
