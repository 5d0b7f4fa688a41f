import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { inspectorOf } from '../../../../media/index.js';
import { wavFile } from '../../../support/wav-samples.js';
import { chatDoor, user } from './chat-door.js';

const door = chatDoor();

describe('a conversation', () => {
  test('goes whole to a pipeline that takes a history, its last message as the prompt', async () => {
    door.answers({ text: 'So.' });
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } };
    const messages = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'Be ' },
          { type: 'text', text: 'brief.' },
        ],
      },
      user,
      { role: 'assistant', content: null, refusal: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'seen' },
      user,
    ];
    await door.post({ model: 'chat', messages });
    expect(door.inputGiven()).toEqual({
      prompt: 'Why?',
      history: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Why?' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 1 } }] },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
      ],
    });
  });

  test.each(['reasoning_content', 'reasoning'])('keeps what the model thought, sent back as %s', async (name) => {
    door.answers({ text: 'So.' });
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
    const thought = { role: 'assistant', content: null, [name]: 'I look.', tool_calls: [call] };
    const silent = { role: 'assistant', content: 'So.', reasoning_content: null, reasoning: '' };
    const result = { role: 'tool', tool_call_id: 'c1', content: 'seen' };
    await door.post({ model: 'chat', messages: [user, thought, result, silent, user] });
    const toolCalls = [{ id: 'c1', name: 'look', arguments: {} }];
    expect(door.inputGiven().history).toEqual([
      user,
      { role: 'assistant', content: '', toolCalls, reasoning: 'I look.' },
      { role: 'tool', content: 'seen', toolCallId: 'c1' },
      { role: 'assistant', content: 'So.' },
    ]);
  });

  test('passes over what the model thought in a form that is no text', async () => {
    door.answers({ text: 'So.' });
    const messages = [user, { role: 'assistant', content: 'So.', reasoning: { text: 'I look.' } }, user];
    expect((await door.post({ model: 'chat', messages })).statusCode).toBe(200);
    expect(door.inputGiven().history).toEqual([user, { role: 'assistant', content: 'So.' }]);
  });

  test('that ends with a tool’s result goes on from there', async () => {
    door.answers({ text: 'So.' });
    await door.post({ model: 'chat', messages: [user, { role: 'tool', tool_call_id: 'c1', content: 'seen' }] });
    expect(door.inputGiven()).toEqual({
      history: [
        { role: 'user', content: 'Why?' },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
      ],
    });
  });

  test('brings parameters under the fields’ names', async () => {
    door.answers({ text: 'So.' });
    const parameters = { type: 'object', properties: { at: { type: 'string' } } };
    await door.post({
      model: 'chat',
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      max_completion_tokens: 9,
      stop: 'END',
      seed: 1,
      tools: [{ type: 'function', function: { name: 'look', parameters } }],
      tool_choice: { type: 'function', function: { name: 'look' } },
      response_format: { type: 'json_schema', json_schema: { name: 'r', schema: parameters, strict: true } },
      user: 'u1',
      metadata: { a: 'b' },
      n: 1,
      logprobs: false,
    });
    expect(door.inputGiven()).toEqual({
      prompt: 'Why?',
      history: [],
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      maxTokens: 9,
      stop: ['END'],
      seed: 1,
      tools: [{ name: 'look', description: '', schema: parameters, strict: false }],
      toolChoice: { name: 'look' },
      output: { schema: parameters, strict: true },
    });
  });

  test.each(['none', 'xhigh', 'max'])('brings the effort of its reasoning (%s)', async (effort) => {
    door.answers({ text: 'So.' });
    expect((await door.post({ model: 'chat', reasoning_effort: effort })).statusCode).toBe(200);
    expect(door.inputGiven().reasoningEffort).toBe(effort);
  });

  test('that forbids calls brings no tools to a pipeline without a field for the choice', async () => {
    door.answers({ text: 'So.' });
    const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];
    expect((await door.post({ model: 'choiceless', tools, tool_choice: 'none' })).statusCode).toBe(200);
    expect(door.inputGiven()).toEqual({ prompt: 'Why?', tools: [] });
  });

  test('brings the description of a schema to the model within the schema', async () => {
    door.answers({ text: '{}' });
    const schema = { type: 'object', properties: { at: { type: 'string' } } };
    const asked = { type: 'json_schema', json_schema: { name: 'r', description: 'Where it is', schema } };
    await door.post({ model: 'chat', response_format: asked });
    expect(door.inputGiven().output).toEqual({ schema: { description: 'Where it is', ...schema }, strict: false });
    door.gateway.temporal.runs.clear();
    const own = { ...schema, description: 'Its own' };
    const text = { format: { type: 'json_schema', name: 'r', description: 'Where it is', schema: own } };
    const payload = { model: 'chat', input: 'Why?', store: false, text };
    await door.gateway.app.inject({ method: 'POST', url: '/v1/responses', payload });
    expect(door.inputGiven().output).toEqual({ schema: own, strict: false });
    door.gateway.temporal.runs.clear();
    const described = { ...payload, text: { format: { ...text.format, schema } } };
    await door.gateway.app.inject({ method: 'POST', url: '/v1/responses', payload: described });
    expect(door.inputGiven().output).toEqual({ schema: { description: 'Where it is', ...schema }, strict: false });
  });

  test('keeps the names of its speakers', async () => {
    door.answers({ text: 'So.' });
    const ada = { role: 'user', content: 'Why?', name: 'Ada' };
    const ben = { role: 'assistant', content: 'So.', name: 'Ben' };
    await door.post({
      model: 'chat',
      messages: [{ role: 'system', content: 'Be brief.', name: 'host' }, ada, ben, user],
    });
    expect(door.inputGiven()).toEqual({
      prompt: 'Why?',
      history: [{ role: 'system', content: 'Be brief.', name: 'host' }, ada, ben],
    });
    door.gateway.temporal.runs.clear();
    await door.post({ model: 'chat', messages: [ben, ada] });
    expect(door.inputGiven()).toEqual({ history: [ben, ada] });
  });

  test.each(['auto', 'required'] as const)('offers only the allowed tools (%s)', async (mode) => {
    door.answers({ text: 'So.' });
    const named = (name: string) => ({ type: 'function', function: { name } });
    const tools = ['look', 'buy', 'ask'].map(named);
    const allowed = { mode, tools: [named('ask'), named('look')] };
    await door.post({ model: 'chat', tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } });
    expect(door.inputGiven()).toMatchObject({ tools: [{ name: 'look' }, { name: 'ask' }], toolChoice: mode });
    door.gateway.temporal.runs.clear();
    const flat = (name: string) => ({ type: 'function', name });
    const choice = { type: 'allowed_tools', mode, tools: [flat('buy')] };
    const payload = { model: 'chat', input: 'Why?', tools: ['look', 'buy'].map(flat), tool_choice: choice };
    const response = await door.gateway.app.inject({ method: 'POST', url: '/v1/responses', payload });
    expect(response.json()).toMatchObject({ tool_choice: choice });
    expect(door.inputGiven()).toMatchObject({ tools: [{ name: 'buy' }], toolChoice: mode });
  });

  test('brings images to a pipeline that sees', async () => {
    door.answers({ text: 'So.' });
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    const content = [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}`, detail: null } },
    ];
    expect((await door.post({ model: 'chat', messages: [{ role: 'user', content }] })).statusCode).toBe(200);
    expect(door.inputGiven()).toMatchObject({ prompt: 'What is it?', images: [{ mime: 'image/png' }] });
  });

  const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } };
  const said = (text: string) => ({ type: 'text', text });

  test('brings media of every turn, in their order', async () => {
    door.answers({ text: 'So.' });
    const pdf = Buffer.from('%PDF-1.7').toString('base64');
    const wav = wavFile({ sampleRate: 8_000 }).toString('base64');
    const mp4 = Buffer.concat([Buffer.from('\0\0\0\x20ftypisom'), Buffer.alloc(64)]).toString('base64');
    const messages = [
      { role: 'user', content: [picture, said('What is it?')] },
      { role: 'assistant', content: 'A pixel.' },
      {
        role: 'user',
        content: [
          said('And '),
          said('these?'),
          { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` } },
          { type: 'input_audio', input_audio: { data: wav, format: 'wav' } },
          said('Or this?'),
          { type: 'video_url', video_url: { url: `data:video/mp4;base64,${mp4}` } },
        ],
      },
    ];
    const response = await door.post({ model: 'chat', messages });
    expect(response.json()).toMatchObject({ choices: [{ message: { content: 'So.' } }] });
    expect(door.inputGiven()).toMatchObject({
      prompt: 'And these?',
      parts: [
        { type: 'file', file: { mime: 'application/pdf' }, name: 'a.pdf' },
        { type: 'audio', audio: { mime: 'audio/wav', sampleRate: 8_000 } },
        { type: 'text', text: 'Or this?' },
        { type: 'video', video: { mime: 'video/mp4' } },
      ],
      history: [
        { role: 'user', content: '', parts: [{ type: 'image', image: { mime: 'image/png' } }, said('What is it?')] },
        { role: 'assistant', content: 'A pixel.' },
      ],
    });
    expect(JSON.stringify(door.inputGiven())).not.toContain(PNG);
  });

  test('brings a file that the gateway has, of the caller’s tenant only', async () => {
    door.answers({ text: 'So.' });
    const { uri } = await door.gateway.deps.artifacts.put(
      'default',
      Readable.from([Buffer.from('Hi')]),
      inspectorOf('file'),
    );
    const ask = (address: string) =>
      door.post({
        model: 'chat',
        messages: [{ role: 'user', content: [{ type: 'file', file: { file_data: address } }] }],
      });
    expect((await ask(uri)).statusCode).toBe(200);
    expect(door.inputGiven()).toMatchObject({
      prompt: '',
      parts: [{ type: 'file', file: { uri, mime: 'text/plain' } }],
    });
    expect((await ask(uri.replace('//default/', '//rival/'))).json()).toMatchObject({
      error: { code: 'ARTIFACT_NOT_FOUND' },
    });
  });

  test('loses in silence only what the author lets go', async () => {
    door.answers({ a: 'So.' });
    const messages = [{ role: 'system', content: 'Be brief.' }, user];
    expect((await door.post({ model: 'tolerant', messages, temperature: 1 })).statusCode).toBe(200);
    expect(door.inputGiven()).toEqual({ q: 'Why?' });
    door.gateway.temporal.runs.clear();
    expect((await door.post({ model: 'tolerant', messages: [{ ...user, name: 'Ada' }] })).statusCode).toBe(200);
    expect(door.inputGiven()).toEqual({ q: 'Why?' });
  });
});

describe('what cannot be answered as it is meant is refused by the parameter', () => {
  const system = { role: 'system', content: 'Be brief.' };
  const image = { type: 'image_url', image_url: { url: 'https://example.org/a.png' } };
  const named = (name: string) => ({ type: 'function', function: { name } });
  const tool = named('look');
  const cases: [string, object, string, string?][] = [
    ['too many choices', { model: 'chat', n: 9 }, 'n'],
    ['an unknown parameter', { model: 'chat', top_a: 3 }, 'top_a'],
    ['a sampling parameter without a field', { model: 'rag-answer', top_k: 3 }, 'top_k'],
    [
      'an allowed tool that is not offered',
      {
        model: 'chat',
        tools: [tool],
        tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [named('find')] } },
      },
      'tool_choice',
    ],
    ['a required call without tools', { model: 'chat', tool_choice: 'required' }, 'tool_choice'],
    ['a named tool without tools', { model: 'chat', tools: [], tool_choice: tool }, 'tool_choice'],
    ['a named tool that is not offered', { model: 'chat', tools: [tool], tool_choice: named('find') }, 'tool_choice'],
    ['a wrong type', { model: 'chat', temperature: 'hot' }, 'temperature'],
    ['a value out of bounds', { model: 'chat', temperature: 3 }, 'temperature'],
    ['two limits', { model: 'chat', max_tokens: 1, max_completion_tokens: 2 }, 'max_tokens'],
    ['a wrong message', { model: 'chat', messages: [user, { role: 'user' }] }, 'messages[1].content'],
    ['no messages', { model: 'chat', messages: [] }, 'messages'],
    ['a name that OpenAI has not', { model: 'chat', messages: [{ ...user, name: 'Ada L.' }] }, 'messages[0].name'],
    ['a name that is not taken', { model: 'rag-answer', messages: [{ ...user, name: 'Ada' }] }, 'messages[0].name'],
    ['an image by its address', { model: 'chat', messages: [{ role: 'user', content: [image] }] }, 'messages[0]'],
    [
      'bytes that are not what they are called',
      {
        model: 'chat',
        messages: [
          { role: 'user', content: [{ type: 'video_url', video_url: { url: 'data:video/mp4;base64,I0VYVE0zVQ==' } }] },
        ],
      },
      'messages',
      'INVALID_MEDIA',
    ],
    [
      'media that the pipeline has no place for',
      {
        model: 'rag-answer',
        messages: [{ role: 'user', content: [{ ...image, image_url: { url: 'data:image/png;base64,AA==' } }] }],
      },
      'messages[0]',
    ],
    [
      'a file by an id',
      { model: 'chat', messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }] },
      'messages[0].content[0].file.file_data',
    ],
    ['usage without a stream', { model: 'chat', stream_options: { include_usage: true } }, 'stream_options'],
    ['a temperature that is not taken', { model: 'rag-answer', temperature: 0.5 }, 'temperature'],
    ['a system message that is not taken', { model: 'rag-answer', messages: [system, user] }, 'messages[0]'],
    ['an earlier turn that is not taken', { model: 'tolerant', messages: [user, user] }, 'messages[0]'],
    ['tools that are not taken', { model: 'rag-answer', tools: [tool] }, 'tools'],
    ['a last message that is not the user’s', { model: 'rag-answer', messages: [system] }, 'messages[0]'],
    [
      'a field that the pipeline refuses',
      { model: 'chat', tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools',
    ],
  ];
  test.each(cases)('%s', async (_, body, param, code = 'INVALID_INPUT') => {
    const response = await door.post(body);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { type: 'invalid_request_error', param, code } });
    expect(response.headers['x-should-retry']).toBe('false');
    expect(door.gateway.temporal.runs.size).toBe(0);
  });

  test('what says nothing new is passed over', async () => {
    door.answers({ answer: 'So.' });
    const body = { model: 'rag-answer', top_p: 1, presence_penalty: 0, tool_choice: 'auto', tools: [] };
    expect((await door.post({ ...body, response_format: { type: 'text' }, store: false })).statusCode).toBe(200);
  });

  test.each(['chat/completions', 'responses'])('options of the prompt cache are passed over (%s)', async (path) => {
    door.answers({ text: 'So.' });
    const cache = { prompt_cache_key: 'k', prompt_cache_options: { ttl: '30m' }, prompt_cache_retention: '24h' };
    const asked = path === 'responses' ? { input: 'Why?' } : { messages: [user] };
    const payload = { model: 'chat', ...asked, ...cache };
    const response = await door.gateway.app.inject({ method: 'POST', url: `/v1/${path}`, payload });
    expect(response.statusCode).toBe(200);
    expect(door.inputGiven()).toEqual({ prompt: 'Why?', history: [] });
  });
});
