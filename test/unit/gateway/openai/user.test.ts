import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { chat, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** The end user that clients name goes to a pipeline that takes it, at every door that names one. */

const known = pipeline(
  'known',
  { input: z.object({ prompt: z.string(), user: z.string().max(5).nullish() }) },
  ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text }),
);

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [chatModel, known] as unknown as Pipeline[], placementOf: () => ({}) });
  gateway.temporal.onStart = (run) => run.end({ output: { text: 'So.' }, stages: [] });
});
afterEach(() => gateway.close());

const messages = [{ role: 'user', content: 'Why?' }];
const DOORS: [string, string, (user: unknown) => object][] = [
  ['chat completions', '/v1/chat/completions', (user) => ({ messages, user })],
  ['responses', '/v1/responses', (user) => ({ input: 'Why?', user })],
  ['messages', '/v1/messages', (user) => ({ messages, max_tokens: 9, metadata: { user_id: user } })],
];

test.each(DOORS)('of %s', async (_, url, bodyOf) => {
  const post = (model: string, user: unknown) =>
    gateway.app.inject({ method: 'POST', url, payload: { model, ...bodyOf(user) } });
  expect((await post('known', 'ada')).statusCode).toBe(200);
  expect(gateway.temporal.only().options.args[0]).toEqual({ prompt: 'Why?', user: 'ada' });
  const refused = await post('known', 'somebody');
  expect([refused.statusCode, refused.body]).toEqual([400, expect.stringContaining('user')]);
  expect((await post('known', 7)).statusCode).toBe(400);
  // A pipeline without the field is asked as before.
  expect((await post('chat', 'ada')).statusCode).toBe(200);
});
