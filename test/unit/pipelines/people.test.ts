import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, guardrail, pipeline } from '../../../pipelines/index.js';
import { asksPeople } from '../../../pipelines/plan/people.js';

it('a run may wait for a person whom a guardrail asks', () => {
  const planOf = (...guardrails: ReturnType<typeof guardrail>[]) => {
    const input = z.object({ q: z.string() });
    return pipeline('assistant', { input, deadline: '2h' }, ({ input, stage }) => ({
      answer: stage('answer', agent({ model: 'llm', guardrails }), { prompt: input.q }).text,
    })).plan;
  };
  expect(asksPeople(planOf())).toBe(false);
  const checked = guardrail({ name: 'checked', on: 'output', check: () => ({ verdict: 'ask' }) });
  expect(asksPeople(planOf(checked))).toBe(true);
});
