import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MOST_THOUGHTS, withThoughts } from '../../../../gateway/openai/sent-thoughts.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { chat, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { ChatMessage } from '../../../../pipelines/stages/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const withHistory = (name: string, history: z.ZodType) =>
  pipeline(
    name,
    {
      input: z.object({ prompt: z.string(), history: history.optional() }),
      openai: { chat: { input: 'prompt', output: 'text' } },
    },
    ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text }),
  );

const message = { role: z.enum(['user', 'assistant']), content: z.string() };
/** Messages of its history have two members, and no others. */
const strict = withHistory('strict', z.array(z.strictObject(message)));
/** They may have more. */
const loose = withHistory('loose', z.array(z.looseObject(message)));
const json = withHistory('json', z.array(z.json()));

const thought = (reasoning: string): ChatMessage => ({ role: 'assistant', content: 'So.', reasoning });
const silent: ChatMessage = { role: 'assistant', content: 'So.' };

describe('what a model thought before', () => {
  it('is kept from the latest message back, as far as there is room', () => {
    const messages = [thought('1'), thought('four'), silent, thought('two')];
    expect(withThoughts(messages, 8)).toEqual(messages);
    expect(withThoughts(messages, 7)).toEqual([silent, thought('four'), silent, thought('two')]);
    // Not an older one that is short: the model would read what it concluded without why.
    expect(withThoughts(messages, 4)).toEqual([silent, silent, silent, thought('two')]);
    expect(withThoughts(messages, 0)).toEqual([silent, silent, silent, silent]);
  });
});

describe('what a client sends back of it', () => {
  let gateway: TestGateway;
  beforeEach(async () => {
    const pipelines = [chatModel, strict, loose, json] as unknown as Pipeline[];
    gateway = await testGateway({ maxJsonBytes: 4_000_000 }, { pipelines, placementOf: () => ({}) });
    gateway.temporal.onStart = (run) => run.end({ output: { text: 'So.' }, stages: [] });
  });
  afterEach(() => gateway.close());
  const user = { role: 'user', content: 'Why?' };
  const post = async (model: string, thoughts: readonly string[]) => {
    const turns = thoughts.flatMap((reasoning_content) => [user, { ...silent, reasoning_content }]);
    const payload = { model, messages: [...turns, user] };
    const { statusCode } = await gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
    expect(statusCode).toBe(200);
    return gateway.temporal.only().options.args[0].history as unknown as ChatMessage[];
  };

  it('is left out where the messages of the pipeline have no field for it', async () => {
    expect(await post('strict', ['I look.'])).toEqual([user, silent]);
  });

  it.each(['loose', 'json'])('is kept where the messages of the pipeline may have any field: %s', async (model) => {
    expect(await post(model, ['I look.'])).toEqual([user, thought('I look.')]);
  });

  it('makes no request too large: the oldest is left out', async () => {
    const long = 'x'.repeat(MOST_THOUGHTS / 4);
    const history = await post('chat', Array(40).fill(long));
    expect(history).toHaveLength(80);
    expect(history.filter(({ reasoning }) => reasoning === long)).toHaveLength(4);
    expect(history.at(-1)).toEqual(thought(long));
  });
});
