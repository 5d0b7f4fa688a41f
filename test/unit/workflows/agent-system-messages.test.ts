import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { type ScriptFunction, testPipeline, used } from '../../../testing/index.js';

const RULES = ['Never name a price.', 'The year is 2031.'].map((content) => ({ role: 'system' as const, content }));
const said = (i: number) => {
  const content = `My number is 47${i}. ${'It rains today. '.repeat(61)}`;
  return { role: 'user' as const, content };
};

const ruled = pipeline('ruled', { input: z.object({ says: z.string(), session: z.string() }) }, ({ input, stage }) => {
  const use = agent({ model: 'm', maxTokens: 96, context: { tokens: 1_024 }, session: {} });
  const history = [...RULES.slice(0, 1), said(1), said(2), ...RULES.slice(1), said(3), said(4)];
  return { text: stage('answer', use, { prompt: input.says, session: input.session, history }).text };
}) as unknown as Pipeline;

it('a shortened conversation keeps the system messages of the caller, outside of its summary and session', async () => {
  const asksForSummary = (input: JsonObject) => JSON.stringify(input.history).includes('Sum up this conversation');
  const answer: ScriptFunction = (input, { with: options }) =>
    used(
      { inputTokens: Math.ceil(JSON.stringify([input, options]).length / 4), outputTokens: 10 },
      { text: asksForSummary(input) ? 'They talked.' : 'I have noted it.' },
    );
  const stages = { 'answer/session/load': { messages: [], parts: 0 }, answer };
  const { calls, error } = await testPipeline(ruled, { says: 'Hello.', session: 's' }, { stages });
  expect(error).toBeUndefined();
  const models = calls.filter(({ kind }) => kind === 'chat');
  const summaries = models.filter(({ input }) => asksForSummary(input));
  expect(summaries).toHaveLength(1);
  const summedUp = JSON.stringify(summaries.map(({ input }) => input));
  expect(summedUp).toContain('My number is 471.');
  expect(summedUp).not.toContain('Never name a price.');
  const prompt = { role: 'user', content: 'Hello.' };
  expect(models.at(-1)?.input.history).toEqual([...RULES, prompt]);
  const saved = calls.find(({ path }) => path === 'answer/session/save');
  expect(saved?.input.part).toMatchObject({ messages: [prompt, { role: 'assistant', content: 'I have noted it.' }] });
});
