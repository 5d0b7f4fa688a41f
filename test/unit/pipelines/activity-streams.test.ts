import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { StageOptions } from '../../../pipelines/definition/stage-options.js';
import { activity, activityStream, chat, code, codeStream, pipeline, streamOf } from '../../../pipelines/index.js';
import { explain, explanationText, mermaid } from '../../../pipelines/inspect/index.js';
import { isStage, type StagePlan } from '../../../pipelines/plan/index.js';
import { groupsOf, isInline } from '../../../pipelines/plan/segments.js';
import { testPipeline } from '../../../testing/index.js';

const number = z.object({ n: z.number() });
const count = activityStream({ queue: 'python', type: 'count', input: number, entry: z.int(), heartbeat: '5s' });
const sum = code('sum', { input: z.object({ values: streamOf(z.int()) }), output: number }, async ({ values }) => {
  let n = 0;
  for await (const value of values) n += value;
  return { n };
});

const summed = (options: StageOptions = {}, execution: 'queued' | 'inline' = 'queued') =>
  pipeline('summed', { input: number }, ({ input, stage }) => {
    const counted = stage('count', count, { n: input.n }, options as object);
    return { all: counted.items, n: stage('sum', sum, { values: counted.entries }, { execution }).n };
  });

const stagesOf = (of: ReturnType<typeof summed>) =>
  Object.fromEntries(of.plan.stages.filter(isStage).map((stage) => [stage.id, stage])) as Record<
    'count' | 'sum',
    StagePlan
  >;
const textOf = (of: ReturnType<typeof summed>) => explanationText(explain(of, { groupsOf, isInline }, () => undefined));

describe('a Python stage that yields', () => {
  it('is an activity of the protocol, whose result is the list of its entries', () => {
    expect(count).toMatchObject({
      kind: 'activity',
      model: 'count',
      with: {
        queue: 'python',
        heartbeatMs: 5_000,
        protocol: 'millrace',
        yields: true,
        output: { type: 'object', properties: { items: { type: 'array', items: { type: 'integer' } } } },
      },
    });
    expect((count.with.output as { required: string[] }).required).toEqual(['items']);
  });

  it('is read while it runs by a stage that takes a stream', () => {
    const { count, sum } = stagesOf(summed());
    expect(count.streamed).toEqual(['entries']);
    expect(sum.streams).toEqual({ values: { from: 'count', of: 'entries' } });
    expect(sum.input).toEqual({ values: { $op: 'entries', of: [{ $ref: 'count.items' }] } });
    expect(textOf(summed())).toContain('stream       values from count.entries, while it is made');
    expect(mermaid(summed().plan, { groupsOf, isInline })).toContain('s_count == "entries" ==> s_sum');
  });

  it('is collected where its reader is inline, or may be skipped', () => {
    expect(stagesOf(summed({}, 'inline')).sum.streams).toBeUndefined();
    expect(textOf(summed({}, 'inline'))).toContain('when it has ended: one of the two stages is inline');
    const skipped = pipeline('skipped', { input: number }, ({ input, stage }) => {
      const counted = stage('count', count, { n: input.n }, { optional: true });
      return { all: counted };
    });
    expect(stagesOf(skipped as never).count.streamed).toBeUndefined();
  });

  it('is collected where an alternative does not yield', () => {
    const whole = {
      ...count,
      with: Object.fromEntries(Object.entries(count.with).filter(([key]) => key !== 'yields')),
    };
    const text = textOf(summed({ fallback: [whole] } as unknown as StageOptions));
    expect(text).toContain('when it has ended: an alternative of one of the two stages does not stream');
    expect(stagesOf(summed({ fallback: [count] } as unknown as StageOptions)).count.streamed).toEqual(['entries']);
  });

  it('may end with what is committed, and cannot start over', () => {
    expect(stagesOf(summed({ onCut: 'end' })).count.onCut).toBe('end');
    expect(() => summed({ onCut: 'restart' })).toThrow('count.onCut');
  });

  it.each([
    ['output', { output: number }, 'count.output" does not apply to a stage that yields'],
    ['protocol', { protocol: 'plain' }, 'count.protocol" does not apply to a stage that yields'],
    ['args', { args: ['n'] }, 'count.args" does not apply to a stage that yields'],
    ['an entry that is no schema', { entry: 'int' }, 'count.entry" must be a zod schema'],
    ['an entry that JSON Schema lacks', { entry: z.date() }, 'count.output'],
    ['an unknown option', { entries: number }, 'count.entries" is not an option'],
  ])('refuses %s', (_, more, message) => {
    const options = { queue: 'python', type: 'count', input: number, entry: z.int(), ...more };
    expect(() => activityStream(options as never)).toThrow(message);
  });

  it('in a test its script gives the list', async () => {
    const { output } = await testPipeline(summed(), { n: 3 }, { stages: { count: { items: [1, 2, 3] } } });
    expect(output).toEqual({ all: [1, 2, 3], n: 6 });
    const wrong = await testPipeline(summed(), { n: 3 }, { stages: { count: { items: ['one'] } } });
    expect(wrong.error).toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('can be read by a function that yields', () => {
    const doubled = codeStream(
      'doubled',
      { input: z.object({ values: streamOf(z.int()) }), entry: z.int() },
      async function* ({ values }) {
        for await (const value of values) yield 2 * value;
      },
    );
    const { plan } = pipeline('doubled', { input: number }, ({ input, stage }) => ({
      all: stage('doubled', doubled, { values: stage('count', count, { n: input.n }).entries }).items,
    }));
    expect(plan.stages.filter(isStage).map(({ streams }) => streams)).toEqual([
      undefined,
      { values: { from: 'count', of: 'entries' } },
    ]);
  });
});

describe('a Python stage that reads streams', () => {
  const values = z.object({ values: streamOf(z.int()), unit: z.string() });
  const total = activity({ queue: 'python', type: 'total', protocol: 'millrace', input: values, output: number });
  const made = codeStream('made', { input: number, entry: z.int() }, async function* () {
    yield 1;
  });
  const totals = (options: StageOptions = {}) =>
    pipeline('totals', { input: number }, ({ input, stage }) => {
      const { entries } = stage('made', made, { n: input.n });
      return { n: stage('total', total, { values: entries, unit: 'm' }, options as object).n };
    });

  it('says in the plan which fields it takes', () => {
    expect(total.with).toMatchObject({ protocol: 'millrace', takes: ['values'] });
    const [producer, reader] = totals().plan.stages.filter(isStage);
    expect(producer?.streamed).toEqual(['entries']);
    expect(reader?.streams).toEqual({ values: { from: 'made', of: 'entries' } });
  });

  it('is read from the list where an alternative takes no stream', () => {
    const whole = activity({
      ...{ queue: 'python', type: 'whole', protocol: 'millrace' as const },
      ...{ input: z.object({ values: z.array(z.int()), unit: z.string() }), output: number },
    });
    const [, reader] = totals({ fallback: [whole] } as unknown as StageOptions).plan.stages.filter(isStage);
    expect(reader?.streams).toBeUndefined();
  });

  it('reads no stream that may start over', () => {
    const heard = activityStream({
      ...{ queue: 'python', type: 'heard', input: z.object({ said: streamOf(z.string()) }), entry: z.string() },
    });
    const of = pipeline('restarts', { input: z.object({ prompt: z.string() }) }, ({ input, stage }) => {
      const answer = stage('answer', chat({ model: 'm' }), { prompt: input.prompt }, { onCut: 'restart' });
      return { heard: stage('heard', heard, { said: answer.sentences }).items };
    });
    expect(of.plan.stages.filter(isStage).map(({ streams }) => streams)).toEqual([undefined, undefined]);
    const text = explanationText(explain(of, { groupsOf, isInline }, () => undefined));
    expect(text).toContain('when it has ended: a stage in Python reads no stream that may start over');
  });

  it('needs the protocol', () => {
    expect(() => activity({ queue: 'q', type: 'total', input: values, output: number })).toThrow('total.input.values');
  });

  it('has its list in a test', async () => {
    const { output } = await testPipeline(totals(), { n: 3 }, { stages: { total: { n: 7 } } });
    expect(output).toEqual({ n: 7 });
  });
});
