import type { ServerResponse } from 'node:http';
import { beforeEach, describe, expect, it } from 'vitest';
import { chatServer, planned, TOOLS } from './openai-chat-server.js';
import { failure, invoke, type Received } from './openai-server.js';

const at = chatServer();

const REFUSAL = {
  message:
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
  type: 'invalid_request_error',
  param: 'temperature',
  code: 'unsupported_value',
};
const PARIS = { message: { content: 'Paris.' }, finish_reason: 'stop' };
const json = (response: ServerResponse, status: number, body: object) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
/** Answers as OpenAI’s reasoning models do. */
const reasoning =
  (error: object = REFUSAL, choice: object = PARIS) =>
  (response: ServerResponse, { body }: Received) =>
    body.temperature === undefined ? json(response, 200, { choices: [choice] }) : json(response, 400, { error });
const temperatures = () => at.server.received.map(({ body }) => body.temperature);

beforeEach(() => {
  at.server.answer = reasoning();
});

describe('a model that refuses a temperature', () => {
  it('is asked once more without it, and from then on', async () => {
    expect((await at.chat(planned({}))).output.text).toBe('Paris.');
    expect(temperatures()).toEqual([0, undefined]);
    expect((await at.chat(planned({ temperature: 0.7 }))).output.text).toBe('Paris.');
    expect(temperatures()).toEqual([0, undefined, undefined]);
    const [first, second] = at.server.received;
    expect({ ...second?.body, temperature: 0 }).toEqual(first?.body);
  });

  it('is another one than its neighbour at the same server', async () => {
    const ask = (model: string) => invoke(at.backend, { kind: 'chat', model, with: planned({}) });
    await ask('o3');
    await ask('gpt-5');
    await ask('o3');
    expect(at.server.received.map(({ body }) => [body.model, body.temperature])).toEqual([
      ['o3', 0],
      ['o3', undefined],
      ['gpt-5', 0],
      ['gpt-5', undefined],
      ['o3', undefined],
    ]);
  });

  it('streams', async () => {
    at.server.answer = (response, { body }) => {
      if (body.temperature !== undefined) return json(response, 400, { error: REFUSAL });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const content of ['Par', 'is.']) {
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      }
      response.end('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
    };
    const { output, chunks } = await at.chat(planned({}));
    expect(output).toEqual({ text: 'Paris.', finish: 'stop' });
    expect(chunks).toEqual(['Par', 'is.']);
  });

  it('calls the tools of an agent, and says so in other words', async () => {
    const call = { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } };
    const choice = { message: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' };
    at.server.answer = reasoning({ ...REFUSAL, code: 'unsupported_parameter' }, choice);
    expect((await at.chat({ ...TOOLS, wrongCalls: 'report' })).output).toMatchObject({ finish: 'tools' });
    expect(temperatures()).toEqual([0, undefined]);
  });

  it('classifies', async () => {
    at.server.answer = reasoning(REFUSAL, { message: { content: '{"label":"yes"}' }, finish_reason: 'stop' });
    const { output } = await invoke(at.backend, { kind: 'classify', with: { labels: ['yes', 'no'] } });
    expect(output).toMatchObject({ label: 'yes' });
    expect(temperatures()).toEqual([0, undefined]);
  });

  it('is not asked again once the call is over', async () => {
    const leaving = new AbortController();
    const reason = new Error('enough');
    at.server.answer = (response) => {
      leaving.abort(reason);
      json(response, 400, { error: REFUSAL });
    };
    const call = invoke(at.backend, { kind: 'chat', with: planned({}) }, { signal: leaving.signal });
    await expect(call).rejects.toBe(reason);
    expect(at.server.received).toHaveLength(1);
  });
});

describe('a model that takes the token limit only by its newer name', () => {
  const LIMIT = {
    message:
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    type: 'invalid_request_error',
    param: 'max_tokens',
    code: 'unsupported_parameter',
  };
  const limits = () => at.server.received.map(({ body }) => [body.max_tokens, body.max_completion_tokens]);
  beforeEach(() => {
    at.server.answer = (response, { body }) => {
      if (body.max_tokens !== undefined) return json(response, 400, { error: LIMIT });
      json(response, 200, { choices: [PARIS] });
    };
  });

  it('is asked once more with that, and from then on', async () => {
    expect((await at.chat(planned({ maxTokens: 9 }))).output.text).toBe('Paris.');
    expect((await at.chat(planned({ maxTokens: 8 }))).output.text).toBe('Paris.');
    expect(limits()).toEqual([
      [9, undefined],
      [undefined, 9],
      [undefined, 8],
    ]);
  });

  it('may refuse a temperature too', async () => {
    at.server.answer = (response, request) => {
      if (request.body.max_tokens !== undefined) return json(response, 400, { error: LIMIT });
      reasoning()(response, request);
    };
    expect((await at.chat(planned({ maxTokens: 9 }))).output.text).toBe('Paris.');
    expect((await at.chat(planned({ maxTokens: 9 }))).output.text).toBe('Paris.');
    expect(limits()).toEqual([
      [9, undefined],
      [undefined, 9],
      [undefined, 9],
      [undefined, 9],
    ]);
    expect(temperatures()).toEqual([0, 0, undefined, undefined]);
  });

  it('passes a canary', async () => {
    await at.backend.probe('m', 'chat', AbortSignal.timeout(110_000));
    expect(limits()).toEqual([
      [1, undefined],
      [undefined, 1],
    ]);
  });

  it('is none that refuses the limit itself, nor one that refuses both names', async () => {
    at.server.answer = (response) => json(response, 400, { error: { ...LIMIT, code: 'invalid_value' } });
    expect((await failure(at.chat(planned({ maxTokens: 9 })))).code).toBe('BACKEND_REJECTED');
    at.server.answer = (response) => json(response, 400, { error: LIMIT });
    expect((await failure(at.chat(planned({ maxTokens: 9 })))).code).toBe('BACKEND_REJECTED');
    expect(limits()).toEqual([
      [9, undefined],
      [9, undefined],
      [undefined, 9],
    ]);
  });
});

describe('a model that takes no calls of tools without tools, as Claude behind LiteLLM', () => {
  const LACKS = {
    message: "litellm.UnsupportedParamsError: Anthropic doesn't support tool calling without `tools=` param specified.",
    ...{ type: 'None', param: null, code: '400' },
  };
  const CHOICE = { ...LACKS, message: "litellm.UnsupportedParamsError: Bedrock doesn't support tool_choice=none." };
  const history = [
    { role: 'user', content: 'Weather in Paris?' },
    { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'weather', arguments: { city: 'Paris' } }] },
    { role: 'tool', content: 'sun', toolCallId: 'a' },
  ];
  const ask = () => at.chat(planned({}), { history, prompt: 'Answer now.' });
  const choices = () => at.server.received.map(({ body }) => [body.tools !== undefined, body.tool_choice]);
  beforeEach(() => {
    at.server.answer = (response, { body }) => {
      if (body.tools === undefined) return json(response, 400, { error: LACKS });
      json(response, 200, { choices: [PARIS] });
    };
  });

  it('gets those that were called, and may call none, from then on', async () => {
    expect((await ask()).output).toEqual({ text: 'Paris.', finish: 'stop' });
    expect((await ask()).output.text).toBe('Paris.');
    expect(choices()).toEqual([
      [false, undefined],
      [true, 'none'],
      [true, 'none'],
    ]);
    expect(at.server.received[1]?.body.tools).toEqual([
      { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  it('may refuse that choice too', async () => {
    const { answer } = at.server;
    at.server.answer = (response, request) => {
      if (request.body.tool_choice !== undefined) return json(response, 400, { error: CHOICE });
      answer(response, request);
    };
    expect((await ask()).output.text).toBe('Paris.');
    expect((await ask()).output.text).toBe('Paris.');
    expect(choices()).toEqual([
      [false, undefined],
      [true, 'none'],
      [true, undefined],
      [true, undefined],
    ]);
  });

  it('gets none for a conversation without calls, whose refusal is the call’s', async () => {
    expect((await failure(at.chat(planned({})))).code).toBe('BACKEND_REJECTED');
    expect(choices()).toEqual([[false, undefined]]);
  });
});

describe('another refusal', () => {
  it.each([
    ['of another parameter', 400, { ...REFUSAL, param: 'top_p' }],
    ['of this temperature alone', 400, { ...REFUSAL, code: 'decimal_above_max_value' }],
    ['by another status', 422, REFUSAL],
    ['in words alone', 400, { message: REFUSAL.message, type: REFUSAL.type }],
  ])('%s is the call’s', async (_, status, error) => {
    at.server.answer = (response) => json(response, status, { error });
    expect((await failure(at.chat(planned({})))).code).toBe('BACKEND_REJECTED');
    expect((await failure(at.chat(planned({})))).code).toBe('BACKEND_REJECTED');
    expect(temperatures()).toEqual([0, 0]);
  });

  it('of a call without a temperature is not repeated', async () => {
    at.server.answer = (response) => json(response, 400, { error: REFUSAL });
    expect((await failure(at.chat())).code).toBe('BACKEND_REJECTED');
    expect(at.server.received).toHaveLength(1);
  });
});
