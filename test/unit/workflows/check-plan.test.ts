import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, pipeline } from '../../../pipelines/index.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { checkPlan } from '../../../workflows/interpreter/check-plan.js';
import { contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const two = pipeline('two', { input: one }, ({ input, stage }) => {
  const { n } = stage('alpha', add, { n: input.n });
  return { n: stage('beta', add, { n }).n };
});

/** The context of a run with another id of its first step. */
const withId = (id: string): RunContext =>
  JSON.parse(JSON.stringify(contextOf(two)).replaceAll('"alpha', `"${id}`)) as RunContext;

describe('the check of a plan at the start of each replay', () => {
  it('lets runs go on whose step has the id of the input: what is new is refused where plans are validated', () => {
    expect(() => checkPlan(withId('input'))).not.toThrow();
  });

  it('refuses an id that two steps have', () => {
    expect(() => checkPlan(withId('beta'))).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
  });
});
