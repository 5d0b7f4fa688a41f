import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assistant, chatModel, ragAnswer } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

let served: ServedPipelines;
let client: OpenAI;

beforeAll(async () => {
  served = await servePipelines([chatModel, assistant, ragAnswer] as unknown as Pipeline<never>[]);
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => served?.close());

const question = { role: 'user' as const, content: 'What is the capital of France?' };

const brief = { role: 'system' as const, content: 'Answer in one short sentence.' };

describe('the official client for Node, unchanged', () => {
  test('lists the pipelines that are models', async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['chat', 'assistant', 'rag-answer']);
    expect(await client.models.retrieve('chat')).toMatchObject({ id: 'chat', object: 'model', owned_by: 'millrace' });
  });

  test('completes a conversation', async () => {
    const completion = await client.chat.completions.create({
      model: 'chat',
      messages: [brief, question],
      max_completion_tokens: 40,
      temperature: 0,
    });
    const [choice] = completion.choices;
    expect(choice?.message.content).toContain('Paris');
    expect(choice?.finish_reason).toBe('stop');
    expect(completion.usage?.prompt_tokens).toBeGreaterThan(20);
    expect(completion.usage?.completion_tokens).toBeGreaterThan(3);
    const run = await served.get(completion.id.replace('chatcmpl-', ''));
    expect(run).toMatchObject({ pipeline: 'chat', input: { prompt: question.content, temperature: 0 } });
  });

  test('streams it, with the tokens at the end', async () => {
    const stream = await client.chat.completions.create({
      model: 'chat',
      messages: [brief, question],
      max_tokens: 30,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text).toContain('Paris');
    expect(chunks.length).toBeGreaterThan(4);
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)?.usage?.completion_tokens).toBeGreaterThan(3);
  });
});
