import { afterEach, beforeEach, expect, it } from 'vitest';
import { MOST_INPUT_BYTES } from '../../../../gateway/input/body-budget.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway(
    { maxJsonBytes: 8 * 1024 * 1024 },
    { pipelines: [chatModel] as unknown as Pipeline[], placementOf: () => ({}) },
  );
});
afterEach(() => gateway.close());

/** Larger than any input: a field that has no effect. */
const LONG = 'x'.repeat(4 * 1024 * 1024);
const messages = [{ role: 'user', content: 'Why?' }];

it.each([
  ['/v1/chat/completions', { messages, prompt_cache_key: LONG }],
  ['/v1/chat/completions', { messages, prompt_cache_key: LONG, stream: true }],
  ['/v1/responses', { input: 'Why?', prompt_cache_key: LONG }],
  ['/v1/messages', { messages, max_tokens: 9, user_profile_id: LONG }],
  ['/v1/agui/chat', { threadId: 't', runId: 'r', messages: [{ id: 'm', ...messages[0] }], more: LONG }],
])('a body is not held while its run is waited for: %s', async (url, body) => {
  const answered = gateway.app.inject({ method: 'POST', url, payload: { model: 'chat', ...body } });
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
  const held = await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get();
  expect(held?.values[0]?.value).toBeLessThanOrEqual(MOST_INPUT_BYTES);
  gateway.temporal.only().end({ output: { text: 'So.' }, stages: [] });
  expect((await answered).statusCode).toBe(200);
});
