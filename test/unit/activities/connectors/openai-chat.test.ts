import { OpenAI } from 'openai';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend, CallContext } from '../../../../activities/connectors/connector.js';
import { tokenLimit } from '../../../../activities/connectors/openai/completion.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { chat as chatStage, STAGE_KINDS } from '../../../../pipelines/stages/index.js';
import { API_KEY, chunk, failure, fixture, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;

beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const chat = (options: JsonObject = {}, input: JsonObject = { prompt: 'Capital of France?' }) =>
  invoke(backend, { kind: 'chat', with: options, input });
const sent = () => server.received[0]?.body;
const planned = (options: Omit<Parameters<typeof chatStage>[0], 'model'>) => chatStage({ model: 'm', ...options }).with;

const city = z.object({ city: z.string() });
const TOOLS = planned({
  tools: [
    { name: 'weather', description: 'The weather in a city', input: city },
    { name: 'time', description: 'The time in a city', input: city },
  ],
});
const ANY_ID = expect.stringMatching(/^\S+$/);

describe('the request', () => {
  beforeEach(() => server.events([chunk({ content: 'Paris.' }, 'stop')]));

  it('says what the stage says, once, and asks for a stream with its usage', async () => {
    await chat({ system: 'Be brief.', maxTokens: 8, temperature: 0.5, stop: ['\n'] });
    expect(server.received).toHaveLength(1);
    expect(server.received[0]).toMatchObject({
      url: '/v1/chat/completions',
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    expect(sent()).toEqual({
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
    await chat({ system: 'Be brief.' }, { prompt: 'Who are you?', history });
    expect(sent().messages).toEqual([
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
    await chat({}, { history });
    expect(sent().messages).toEqual([...history.slice(0, 3), { role: 'tool', content: 'seen', tool_call_id: 'c1' }]);
  });

  it('binds the reply to a closed schema, strictly', async () => {
    server.events([chunk({ content: '{"place":{"city":"Paris"}}' }, 'stop')]);
    await chat(planned({ output: z.object({ place: city.optional() }) }));
    expect(sent().response_format).toEqual({
      type: 'json_schema',
      json_schema: {
        name: 'reply',
        strict: true,
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
          additionalProperties: false,
        },
      },
    });
  });

  it('offers tools, strictly', async () => {
    await chat(TOOLS);
    expect(sent().tools[0]).toEqual({
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
    ['https://mine.openai.azure.com/openai/v1', 'max_completion_tokens'],
    ['http://api.openai.com.internal:8000/v1', 'max_tokens'],
    ['http://127.0.0.1:8000/v1', 'max_tokens'],
  ])('to %s limits the reply by %s', (baseURL, name) => {
    expect(tokenLimit(new OpenAI({ baseURL, apiKey: 'none' }), 8)).toEqual({ [name]: 8 });
  });

  it('has no list of tools where none are offered', async () => {
    await chat({ tools: [] });
    expect(sent()).not.toHaveProperty('tools');
  });
});

describe('images', () => {
  const image = (bytes: number) => ({
    uri: `artifact://t/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime: 'image/png',
    bytes,
  });
  const see = (bytes: number, read?: () => Promise<Uint8Array>) =>
    invoke(
      backend,
      { kind: 'chat', input: { prompt: 'What is this?', images: [image(bytes)] } },
      read && { bytes: read },
    );

  it('go by value, behind the prompt', async () => {
    server.events([chunk({ content: 'A dot.' }, 'stop')]);
    await see(3, async () => new Uint8Array([1, 2, 3]));
    expect(sent().messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AQID' } },
        ],
      },
    ]);
  });

  it('above 20 MiB are not read, nor sent', async () => {
    const read = () => Promise.reject(new Error('was read'));
    expect((await failure(see(20 * 1024 * 1024 + 1, read))).code).toBe('INVALID_INPUT');
    expect(server.received).toHaveLength(0);
  });

  const seeAll = (images: object[], read: () => Promise<Uint8Array>) =>
    invoke(backend, { kind: 'chat', input: { prompt: 'Compare.', images } as JsonObject }, { bytes: read });
  const numbered = (bytes: number) => (_: unknown, i: number) => ({
    ...image(bytes),
    uri: `artifact://t/${String(i).padStart(64, '0')}`,
  });

  it.each([
    ['of more than 50 MiB in all', Array.from({ length: 3 }, numbered(20 * 1024 * 1024))],
    ['of more than 50 MiB in all, though they are the same', Array(3).fill(image(20 * 1024 * 1024))],
    ['more than a hundred', Array.from({ length: 101 }, numbered(1))],
  ])('%s are not read, nor sent', async (_, images) => {
    const read = vi.fn(() => Promise.reject(new Error('was read')));
    const refused = await failure(seeAll(images, read));
    expect(refused).toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field: 'images' }] } });
    expect(read).not.toHaveBeenCalled();
  });

  it('whose sizes are not what the input says are read no further than that', async () => {
    const read = vi.fn(async () => new Uint8Array(20 * 1024 * 1024));
    expect((await failure(seeAll(Array.from({ length: 50 }, numbered(1)), read))).code).toBe('INVALID_INPUT');
    expect(read).toHaveBeenCalledTimes(3);
  });

  it('are read one at a time, one that is named twice once', async () => {
    server.events([chunk({ content: 'The same.' }, 'stop')]);
    let reading = 0;
    const read = vi.fn(async () => {
      reading += 1;
      expect(reading).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
      return Uint8Array.of(1);
    });
    const images = Array.from({ length: 3 }, numbered(1));
    await seeAll([...images, ...images], read);
    expect(read).toHaveBeenCalledTimes(3);
    expect(sent().messages[0].content).toHaveLength(7);
  });

  it('need a host that can read them', async () => {
    expect((await failure(see(3))).message).toContain('cannot read images');
  });
});

describe('parts of messages', () => {
  const file = (mime: string, nth: number, bytes = 3) => ({
    uri: `artifact://t/${String(nth).padStart(64, '0')}`,
    sha256: String(nth).padStart(64, '0'),
    mime,
    bytes,
  });
  const read = async ({ sha256 }: Artifact) => Uint8Array.of(Number(sha256));
  const ask = (input: object, own: Partial<CallContext> = { bytes: read }) =>
    invoke(backend, { kind: 'chat', input: input as JsonObject }, own);

  it('go in order, of earlier turns too, each as the protocol names it', async () => {
    server.events([chunk({ content: 'So.' }, 'stop')]);
    await ask({
      prompt: 'And here?',
      images: [file('image/png', 1)],
      parts: [
        { type: 'text', text: 'or here:' },
        { type: 'audio', audio: file('audio/mpeg', 2) },
        { type: 'video', video: file('video/mp4', 3) },
        { type: 'file', file: file('application/pdf', 4), name: 'bill.pdf' },
      ],
      history: [
        {
          role: 'user',
          content: '',
          parts: [
            { type: 'image', image: file('image/jpeg', 5), detail: 'low' },
            { type: 'text', text: 'What is this?' },
          ],
        },
        { role: 'assistant', content: 'A dot.' },
        { role: 'user', content: 'And that?', parts: [{ type: 'file', file: file('text/plain', 6) }] },
      ],
    });
    expect(sent().messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,BQ==', detail: 'low' } },
          { type: 'text', text: 'What is this?' },
        ],
      },
      { role: 'assistant', content: 'A dot.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And that?' },
          { type: 'file', file: { filename: 'file.txt', file_data: 'data:text/plain;base64,Bg==' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And here?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AQ==' } },
          { type: 'text', text: 'or here:' },
          { type: 'input_audio', input_audio: { data: 'Ag==', format: 'mp3' } },
          { type: 'video_url', video_url: { url: 'data:video/mp4;base64,Aw==' } },
          { type: 'file', file: { filename: 'bill.pdf', file_data: 'data:application/pdf;base64,BA==' } },
        ],
      },
    ]);
  });

  it('of audio that the protocol has no name for become WAV', async () => {
    server.events([chunk({ content: 'So.' }, 'stop')]);
    const spoken = { ...file('audio/ogg', 1), sampleRate: 8_000 };
    const audio: CallContext['audio'] = {
      async *read(_, { sampleRate }) {
        yield Float32Array.of(sampleRate / 16_000, -2);
      },
      write: () => Promise.reject(new Error('was written')),
    };
    await ask({ prompt: 'Hear:', parts: [{ type: 'audio', audio: spoken }] }, { audio });
    const [, { input_audio: heard }] = sent().messages[0].content;
    const wav = Buffer.from(heard.data, 'base64');
    expect(heard.format).toBe('wav');
    expect([wav.readUInt32LE(24), wav.readInt16LE(44), wav.readInt16LE(46)]).toEqual([8_000, 16_384, -32_768]);
  });

  const LARGE = 20 * 1024 * 1024;
  const part = (nth: number, bytes: number) => ({ type: 'file', file: file('application/pdf', nth, bytes) });
  it.each([
    ['too large alone', { prompt: '', parts: [part(1, LARGE + 1)] }, 'parts.0'],
    [
      'too large in all, turns together',
      {
        prompt: '',
        parts: [part(1, LARGE)],
        history: [{ role: 'user', content: '', parts: [part(2, LARGE), part(3, LARGE)] }],
      },
      'history.0.parts.0',
    ],
  ])('%s are refused by their field before anything is read', async (_, input, field) => {
    const bytes = vi.fn(() => Promise.reject(new Error('was read')));
    expect(await failure(ask(input, { bytes }))).toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field }] },
    });
    expect(bytes).not.toHaveBeenCalled();
    expect(server.received).toHaveLength(0);
  });
});

describe('a streamed reply', () => {
  it('comes in pieces, and whole with its usage', async () => {
    server.replay(fixture('llama-cpp-text.recorded'));
    const { output, usage, chunks } = await chat();
    expect(output.text).toContain('Étoile');
    expect(chunks.join('')).toBe(output.text);
    expect(chunks.length).toBeGreaterThan(20);
    expect(chunks).not.toContain('');
    expect(usage).toEqual({ inputTokens: 37, outputTokens: 32 });
  });

  it('does not have the reasoning before it in its text, which is progress all the same', async () => {
    server.replay(fixture('vllm-reasoning.handwritten'));
    const { output, chunks } = await chat();
    const reasoning = 'France is a country. Its capital is Paris.';
    expect(output).toEqual({ text: 'Paris.', finish: 'stop', reasoning });
    expect(chunks).toEqual(['', '', 'Par', 'is.']);
  });

  it('is the first of several choices', async () => {
    const other = { choices: [{ index: 1, delta: { content: 'Rome.' }, finish_reason: 'stop' }] };
    server.events([other, chunk({ content: 'Paris.' }, 'stop'), other]);
    expect((await chat()).output.text).toBe('Paris.');
  });

  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['eos', 'stop'],
  ])('that ends with %s has the finish %s', async (reason, finish) => {
    server.events([chunk({ content: 'Paris.' }), chunk({}, reason)]);
    expect((await chat()).output.finish).toBe(finish);
  });

  it('that refuses is BACKEND_REJECTED, with what it says', async () => {
    server.replay(fixture('openai-refusal.handwritten'));
    expect(await failure(chat())).toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining("I'm sorry, I cannot help."),
    });
  });
});

describe('structured output', () => {
  const BOUND = planned({ output: z.object({ city: z.string(), country: z.string().default('unknown') }) });

  it('is read, its defaults filled in', async () => {
    server.replay(fixture('llama-cpp-structured.recorded'));
    const { output } = await chat(BOUND);
    expect(output.data).toEqual({ city: expect.any(String), country: 'unknown' });
    expect(JSON.parse(output.text as string)).toEqual({ city: (output.data as JsonObject).city });
  });

  it.each([
    ['is no JSON', 'Paris, of course', 'stop', 'is not JSON'],
    ['is cut', '{"city": "Pa', 'length', 'was cut'],
    ['does not fit', '{"city": 7}', 'stop', 'city: '],
    ['lacks a field', '{}', 'stop', 'city: '],
  ])('that %s is an error', async (_, text, finish, message) => {
    server.events([chunk({ content: text }), chunk({}, finish)]);
    const error = await failure(chat(BOUND));
    expect(error.code).toBe(finish === 'length' ? 'LENGTH' : 'INVALID_OUTPUT');
    expect(error.message).toContain(message);
  });
});

describe('tool calls', () => {
  const PARIS = { id: ANY_ID, name: 'weather', arguments: { city: 'Paris' } };
  const ROME = { id: ANY_ID, name: 'weather', arguments: { city: 'Rome' } };
  const IN_ROME = { id: ANY_ID, name: 'time', arguments: { city: 'Rome' } };

  it.each([
    ['llama-cpp-tool-call.recorded', [PARIS]],
    ['llama-cpp-two-tool-calls.recorded', [PARIS, ROME]],
    ['llama-cpp-tool-call-in-text.recorded', [PARIS]],
    ['llama-cpp-tool-call-in-fence.recorded', [PARIS]],
    ['vllm-named-tool.recorded', [{ ...PARIS, arguments: { city: 'paris' } }]],
    ['vllm-required-tool.recorded', [{ ...PARIS, arguments: { city: 'paris' } }]],
    ['openai-two-tools.handwritten', [PARIS, IN_ROME]],
    ['ollama-tools.handwritten', [PARIS, IN_ROME]],
    ['openai-chat.handwritten', [PARIS]],
  ])('of %s are read', async (name, calls) => {
    server.replay(fixture(name));
    const { output, usage, chunks } = await chat(TOOLS);
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: calls });
    expect(STAGE_KINDS.chat.output.safeParse(output).error).toBeUndefined();
    expect(usage?.outputTokens).toBeGreaterThan(0);
    expect(chunks.length).toBeGreaterThan(0);
  });

  it('keep the ids that the server gives', async () => {
    server.replay(fixture('openai-two-tools.handwritten'));
    const { toolCalls } = (await chat(TOOLS)).output as { toolCalls: { id: string }[] };
    expect(toolCalls.map(({ id }) => id)).toEqual(['call_a', 'call_b']);
  });

  it('get ids where the server gives none, each its own', async () => {
    const call = { function: { name: 'weather', arguments: '{"city":"Paris"}' } };
    server.events([chunk({ tool_calls: [call, call] }), chunk({}, 'stop')]);
    const { toolCalls } = (await chat(TOOLS)).output as { toolCalls: { id: string }[] };
    expect(new Set(toolCalls.map(({ id }) => id)).size).toBe(2);
    expect(toolCalls[0]?.id).toMatch(/^call_/);
  });

  it('leave the text that comes with them', async () => {
    const call = { index: 0, id: 'a', function: { name: 'weather', arguments: '{"city":"Paris"}' } };
    server.events([chunk({ content: 'Let me look.' }), chunk({ tool_calls: [call] }), chunk({}, 'tool_calls')]);
    expect((await chat(TOOLS)).output).toMatchObject({ text: 'Let me look.', finish: 'tools' });
  });

  it('are an empty list in a reply without any', async () => {
    server.events([chunk({ content: 'Paris.' }, 'stop')]);
    expect((await chat(TOOLS)).output).toEqual({ text: 'Paris.', finish: 'stop', toolCalls: [] });
  });

  it('that are cut are LENGTH', async () => {
    server.replay(fixture('llama-cpp-tool-call-cut.recorded'));
    expect(await failure(chat(TOOLS))).toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('were cut'),
    });
  });

  it('that are cut so early that vLLM sends nothing are LENGTH', async () => {
    server.replay(fixture('vllm-tool-call-cut.recorded'));
    expect(await failure(chat(TOOLS))).toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('within its token limit'),
    });
  });

  it('that are announced and do not come are INVALID_OUTPUT', async () => {
    server.events([chunk({ content: '' }), chunk({}, 'tool_calls')]);
    expect((await failure(chat(TOOLS))).code).toBe('INVALID_OUTPUT');
  });

  it('of a tool that is not on offer are INVALID_OUTPUT', async () => {
    const call = { index: 0, id: 'a', function: { name: 'launch', arguments: '{}' } };
    server.events([chunk({ tool_calls: [call] }), chunk({}, 'tool_calls')]);
    expect(await failure(chat(TOOLS))).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('"launch"'),
    });
  });

  it('win over the schema of a reply', async () => {
    server.replay(fixture('llama-cpp-tool-call.recorded'));
    const { output } = await chat({ ...TOOLS, ...planned({ output: city }) });
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: [PARIS] });
  });
});

describe('a canary', () => {
  it('is one token, and content with a reply that is only reasoning', async () => {
    server.events([chunk({ reasoning: 'Well' }), chunk({}, 'length')]);
    await backend.probe('m', 'chat', AbortSignal.timeout(30_000));
    expect(sent()).toMatchObject({ max_tokens: 1, messages: [{ role: 'user', content: 'ok' }] });
  });

  it('fails where the call does', async () => {
    server.json(500, {});
    expect((await failure(backend.probe('m', 'chat', AbortSignal.timeout(30_000)))).code).toBe('BACKEND_ERROR');
  });
});

it('a schema that cannot be read costs no call', async () => {
  server.events([chunk({ content: '{}' }, 'stop')]);
  const schema = { type: 'object', properties: { a: { type: 'no such type' } } };
  expect((await failure(chat({ schema }))).code).toBe('INVALID_PIPELINE');
  expect(server.received).toHaveLength(0);
});
