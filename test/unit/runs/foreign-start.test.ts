import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, MillraceError, pipeline } from '../../../pipelines/index.js';
import type { Json } from '../../../pipelines/json.js';
import { prepareForeign } from '../../../runs/foreign-start.js';
import { contextOf } from '../../support/in-process.js';

const text = z.object({ text: z.string() });
const shout = code('shout', { input: text, output: text }, (given) => given);
const shouting = pipeline(
  'shouting',
  { input: z.object({ text: z.string().min(1), marks: z.number().default(1) }), deadline: '1m' },
  ({ input, stage }) => {
    const loud = stage('loud', shout, { text: input.text });
    return { loud: loud.text, marks: input.marks };
  },
);
const deps = { pipelines: [shouting as never], placementOf: () => contextOf(shouting).placement };
const prepared = (input: Json, options: Json = null, name = 'shouting', id = 'shouting-1') =>
  prepareForeign(deps, { pipeline: name, input, options, chain: 'execution-1' }, id);
const refusal = (...args: Parameters<typeof prepared>) => {
  try {
    prepared(...args);
  } catch (error) {
    if (error instanceof MillraceError) return { code: error.code, field: error.details.fields?.[0]?.field };
  }
  throw new Error('it was accepted');
};

describe('a run that no gateway starts', () => {
  it('gets what a gateway gives: the completed input, plan and placement, memo', () => {
    const { input, context, memo } = prepared({ text: 'a' });
    expect(input).toEqual({ text: 'a', marks: 1 });
    expect(context).toEqual({
      plan: shouting.plan,
      placement: contextOf(shouting).placement,
      tenant: 'default',
      sealed: true,
      streamTag: expect.stringMatching(/^[0-9a-f]{8}$/),
      keyTag: expect.stringMatching(/^[0-9a-f]{16}$/),
      trace: expect.stringMatching(/^[0-9a-f]{32}-01$/),
      events: true,
    });
    expect(memo).toMatchObject({ tenant: 'default', pipeline: 'shouting', version: shouting.plan.version });
  });

  it('takes options', () => {
    const options = {
      millrace: 1,
      tenant: 'acme',
      priority: 'batch',
      outputs: ['marks', 'loud', 'loud'],
      deadlineMs: 500,
    };
    expect(prepared({ text: 'a' }, options).context).toMatchObject({
      tenant: 'acme',
      priority: 'batch',
      outputs: ['loud', 'marks'],
      plan: { deadlineMs: 500, version: shouting.plan.version },
    });
    const longer = prepared({ text: 'a' }, { millrace: 1, deadlineMs: 900_000, tenant: null });
    expect(longer.context).toMatchObject({ plan: { deadlineMs: 60_000 }, tenant: 'default' });
  });

  it('is refused with the field that is wrong', () => {
    expect(refusal({ text: 'a' }, null, 'other')).toEqual({ code: 'PIPELINE_NOT_FOUND', field: 'workflowType' });
    expect(refusal({})).toEqual({ code: 'INVALID_INPUT', field: 'text' });
    expect(refusal(null)).toEqual({ code: 'INVALID_INPUT', field: 'body' });
    expect(refusal({ text: 'a', more: 1 })).toEqual({ code: 'INVALID_INPUT', field: 'more' });
    expect(refusal({ text: 'a' }, null, 'shouting', 'shouting-1-r2')).toMatchObject({ field: 'workflowId' });
    for (const [options, field] of [
      ['x', 'options'],
      [{}, 'options.millrace'],
      [{ millrace: 2 }, 'options.millrace'],
      [{ millrace: 1, wait: 3 }, 'options.wait'],
      [{ millrace: 1, tenant: 'A b' }, 'options.tenant'],
      [{ millrace: 1, priority: 'high' }, 'options.priority'],
      [{ millrace: 1, outputs: 'loud' }, 'options.outputs'],
      [{ millrace: 1, outputs: [] }, 'outputs'],
      [{ millrace: 1, outputs: ['quiet'] }, 'outputs'],
      [{ millrace: 1, deadlineMs: 0 }, 'options.deadlineMs'],
    ] as const) {
      expect(refusal({ text: 'a' }, options as Json)).toEqual({ code: 'INVALID_INPUT', field });
    }
  });

  it('with an input that is too large for its history is refused', () => {
    expect(refusal({ text: 'x'.repeat(3_000_000) })).toEqual({ code: 'INPUT_TOO_LARGE', field: 'text' });
  });
});
