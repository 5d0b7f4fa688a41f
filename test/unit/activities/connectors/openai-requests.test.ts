import { OpenAI } from 'openai';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { tokenLimit } from '../../../../activities/connectors/openai/completion.js';
import { chatServer, city, planned, TOOLS } from './openai-chat-server.js';
import { API_KEY, chunk, failure } from './openai-server.js';

const at = chatServer();

describe('the request', () => {
  beforeEach(() => at.server.events([chunk({ content: 'Paris.' }, 'stop')]));

  it('says what the stage says, once, and asks for a stream with its usage', async () => {
    await at.chat({ system: 'Be brief.', maxTokens: 8, temperature: 0.5, stop: ['\n'] });
    expect(at.server.received).toHaveLength(1);
    expect(at.server.received[0]).toMatchObject({
      url: '/v1/chat/completions',
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    expect(at.sent()).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Capital of France?' },
      ],
      max_tokens: 8,
      temperature: 0.5,
      stop: ['\n'],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('has the turns before the prompt', async () => {
    const history = [
      { role: 'user', content: 'Hello.' },
      { role: 'assistant', content: 'Good day.' },
    ];
    await at.chat({ system: 'Be brief.' }, { prompt: 'Who are you?', history });
    expect(at.sent().messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      ...history,
      { role: 'user', content: 'Who are you?' },
    ]);
  });

  it('names the speakers', async () => {
    const history = [
      { role: 'system', content: 'Be brief.', name: 'host' },
      { role: 'user', content: 'Hello.', name: 'Ada' },
      { role: 'assistant', content: 'Good day.', name: 'Ben' },
      { role: 'tool', content: 'seen', toolCallId: 'c1', name: 'look' },
    ];
    await at.chat({}, { history });
    expect(at.sent().messages).toEqual([...history.slice(0, 3), { role: 'tool', content: 'seen', tool_call_id: 'c1' }]);
  });

  it.each([
    ['strictly', city, true, { required: ['place'] }],
    ['not strictly where OpenAI would refuse it, with an optional property', city.optional(), false, {}],
  ])('binds the reply to a closed schema, %s', async (_, place, strict, required) => {
    at.server.events([chunk({ content: '{"place":{"city":"Paris"}}' }, 'stop')]);
    await at.chat(planned({ output: z.object({ place }) }));
    expect(at.sent().response_format).toEqual({
      type: 'json_schema',
      json_schema: {
        name: 'reply',
        strict,
        schema: {
          type: 'object',
          properties: {
            place: {
              type: 'object',
              properties: { city: { type: 'string' } },
              required: ['city'],
              additionalProperties: false,
            },
          },
          ...required,
          additionalProperties: false,
        },
      },
    });
  });

  it('offers tools, strictly', async () => {
    await at.chat(TOOLS);
    expect(at.sent().tools[0]).toEqual({
      type: 'function',
      function: {
        name: 'weather',
        description: 'The weather in a city',
        strict: true,
        parameters: {
          type: 'object',
          properties: { city: { type: 'string' } },
          required: ['city'],
          additionalProperties: false,
        },
      },
    });
  });

  it.each([
    ['https://api.openai.com/v1', 'max_completion_tokens'],
    ['https://eu.api.openai.com/v1', 'max_completion_tokens'],
    ['https://mine.openai.azure.com/openai/v1', 'max_completion_tokens'],
    ['https://mine.openai.azure.us/openai/v1', 'max_completion_tokens'],
    ['https://mine.services.ai.azure.com/openai/v1', 'max_completion_tokens'],
    ['https://mine.cognitiveservices.azure.com/openai/v1', 'max_completion_tokens'],
    ['https://mine.cognitiveservices.azure.us/openai/v1', 'max_completion_tokens'],
    ['https://notapi.openai.com/v1', 'max_tokens'],
    ['http://api.openai.com.internal:8000/v1', 'max_tokens'],
    ['http://127.0.0.1:8000/v1', 'max_tokens'],
  ])('to %s limits the reply by %s', (baseURL, name) => {
    expect(tokenLimit(new OpenAI({ baseURL, apiKey: 'none' }), 8)).toEqual({ [name]: 8 });
  });

  it('has no list of tools where none are offered', async () => {
    await at.chat({ tools: [] });
    expect(at.sent()).not.toHaveProperty('tools');
  });
});

describe('a canary', () => {
  it('is one token, and content with a reply that is only reasoning', async () => {
    at.server.events([chunk({ reasoning: 'Well' }), chunk({}, 'length')]);
    await at.backend.probe('m', 'chat', AbortSignal.timeout(110_000));
    expect(at.sent()).toMatchObject({ max_tokens: 1, messages: [{ role: 'user', content: 'ok' }] });
  });

  it('fails where the call does', async () => {
    at.server.json(500, {});
    expect((await failure(at.backend.probe('m', 'chat', AbortSignal.timeout(110_000)))).code).toBe('BACKEND_ERROR');
  });
});
