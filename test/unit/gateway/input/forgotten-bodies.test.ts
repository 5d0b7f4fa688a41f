import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { MOST_INPUT_BYTES } from '../../../../gateway/input/body-budget.js';
import { chatModel, embedModel, speakModel } from '../../../../pipelines/catalog/index.js';
import { generate, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const paint = pipeline('paint', { input: z.object({ prompt: z.string() }) }, ({ input, stage }) => ({
  images: stage('paint', generate({ model: 'painter', makes: 'image' }), input).images,
}));
const pipelines = [chatModel, embedModel, speakModel, paint] as unknown as Pipeline[];

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({ maxJsonBytes: 8 * 1024 * 1024 }, { pipelines, placementOf: () => ({}) });
});
afterEach(() => gateway.close());

/** Longer than any input. */
const LONG = 4 * 1024 * 1024;
const messages = [{ role: 'user', content: 'Why?' }];

it.each([
  ['/v1/chat/completions', { messages }],
  ['/v1/chat/completions', { messages, stream: true }],
  ['/v1/responses', { input: 'Why?' }],
  ['/v1/messages', { messages, max_tokens: 9 }],
  ['/v1/agui/chat', { threadId: 't', runId: 'r', messages: [{ id: 'm', ...messages[0] }] }],
  ['/v1/embeddings', { model: 'embed', input: ['Why?', 'So.'] }],
  ['/v1/images/generations', { model: 'paint', prompt: 'A mill' }],
  ['/v1/audio/speech', { model: 'speak', input: 'So.', response_format: 'wav' }],
])('a body is not held while its run is waited for: %s', async (url, body) => {
  const payload = JSON.stringify({ model: 'chat', ...body }).padEnd(LONG);
  const headers = { 'content-type': 'application/json' };
  const answered = gateway.app.inject({ method: 'POST', url, headers, payload });
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
  const held = await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get();
  expect(held?.values[0]?.value).toBeGreaterThan(0);
  expect(held?.values[0]?.value).toBeLessThanOrEqual(MOST_INPUT_BYTES);
  gateway.temporal.only().end({ output: { text: 'So.', embeddings: [[1], [2]] }, stages: [] });
  await answered;
});
