import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Item } from '../../../../gateway/openai/responses-items.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';
import { turnsOf } from '../../../../gateway/openai/responses-turns.js';
import { messageItemsOf } from '../../../../gateway/openai/stored-responses.js';
import { inspectorOf } from '../../../../media/index.js';
import { chatModel, ragAnswer } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

/** Files, images, audio and videos as clients of the other doors send them, each in its protocol's form. */

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway(
    {},
    { pipelines: [chatModel, ragAnswer] as unknown as Pipeline[], placementOf: () => ({}) },
  );
  gateway.temporal.onStart = (run) => run.end({ output: { text: 'So.' }, stages: [] });
});
afterEach(() => gateway.close());

const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];
const post = (url: string, payload: object) => gateway.app.inject({ method: 'POST', url, payload });
const base64 = (bytes: string | Buffer) => Buffer.from(bytes).toString('base64');
const stored = async (tenant: string) =>
  (await gateway.deps.artifacts.put(tenant, Readable.from([Buffer.from('Hi')]), inspectorOf('file'))).uri;

const PDF = base64('%PDF-1.7');
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const WAV = base64(wavFile({ sampleRate: 8_000 }));
const MP4 = base64(Buffer.concat([Buffer.from('\0\0\0\x20ftypisom'), Buffer.alloc(64)]));

interface Refusal {
  readonly sent: JsonObject;
  readonly field: string;
  readonly message: RegExp;
  readonly code?: string;
  readonly model?: string;
}

/** A door: where it is, what a user's message of content is, and where its errors are. */
interface Door {
  readonly ask: (content: readonly JsonObject[], model?: string) => ReturnType<typeof post>;
  readonly errorOf: (body: JsonObject) => unknown;
}

async function refused(
  { ask, errorOf }: Door,
  { sent, field, message, code = 'INVALID_INPUT', model = 'chat' }: Refusal,
) {
  const response = await ask([sent], model);
  expect([400, 404, 422]).toContain(response.statusCode);
  const text = JSON.stringify(errorOf(response.json()));
  expect(text).toMatch(message);
  expect(text).toContain(field);
  expect(text).toContain(code);
  expect(gateway.temporal.runs.size).toBe(0);
}

describe('`input_image` of a response', () => {
  const ask = (detail: string | null) => {
    const content = [
      { type: 'input_text', text: 'What?' },
      { type: 'input_image', image_url: `data:image/png;base64,${PNG}`, detail },
    ];
    return post('/v1/responses', { model: 'chat', store: false, input: [{ role: 'user', content }] });
  };

  test.each([
    ['low', 'low'],
    ['high', 'high'],
    ['original', 'high'],
    ['auto', undefined],
    [null, undefined],
  ])('brings its detail (%s)', async (detail, given) => {
    expect((await ask(detail)).statusCode).toBe(200);
    const [part = {}] = (inputGiven().parts ?? []) as JsonObject[];
    expect(part.detail).toBe(given);
  });

  test('is refused with a detail that is none', async () => {
    const refused = await ask('hihg');
    expect([refused.statusCode, refused.json()]).toMatchObject([
      400,
      { error: { param: 'input[0].content[1].detail', message: expect.stringContaining('"high"') } },
    ]);
    expect(gateway.temporal.runs.size).toBe(0);
  });
});

describe('`input_file` of a response', () => {
  const door: Door = {
    ask: (content, model = 'chat') =>
      post('/v1/responses', { model, store: false, input: [{ role: 'user', content }] }),
    errorOf: (body) => body.error,
  };

  test('is a file with its name, at its place among the parts', async () => {
    const content = [
      { type: 'input_text', text: 'Compare ' },
      { type: 'input_file', filename: 'a.pdf', file_data: `data:application/pdf;base64,${PDF}`, file_id: null },
      { type: 'input_text', text: 'with' },
      { type: 'input_file', file_data: await stored('default') },
    ];
    expect((await door.ask(content)).statusCode).toBe(200);
    expect(inputGiven()).toMatchObject({
      prompt: 'Compare ',
      parts: [
        { type: 'file', file: { mime: 'application/pdf' }, name: 'a.pdf' },
        { type: 'text', text: 'with' },
        { type: 'file', file: { mime: 'text/plain' } },
      ],
    });
    expect(JSON.stringify(inputGiven())).not.toContain(PDF);
  });

  test('is told by its bytes, whatever the client calls it', async () => {
    await door.ask([{ type: 'input_file', filename: 'a.pdf', file_data: `data:application/pdf;base64,${PNG}` }]);
    expect(inputGiven()).toMatchObject({ parts: [{ file: { mime: 'image/png' } }] });
  });

  test.each([';codecs=vp8,opus;base64', ';codecs="vp8, opus";base64', ';charset=utf-8;name=a%20b;BASE64'])(
    'may have any parameters of its type: %s',
    async (parameters) => {
      const response = await door.ask([{ type: 'input_file', file_data: `data:video/webm${parameters},${PDF}` }]);
      expect([response.statusCode, response.json()]).toMatchObject([200, {}]);
      expect(inputGiven()).toMatchObject({ parts: [{ file: { mime: 'application/pdf' } }] });
    },
  );

  const at = 'input[0].content[0]';
  test.each<[string, Refusal]>([
    ['an id', { sent: { file_id: 'file-1' }, field: `${at}.file_id`, message: /not kept under ids/ }],
    ['an address', { sent: { file_url: 'http://169.254.169.254/' }, field: 'input[0]', message: /not fetched/ }],
    ['both', { sent: { file_data: PDF, file_url: 'http://a/' }, field: `${at}.file_data`, message: /or file_url/ }],
    ['bare base64', { sent: { file_data: PDF }, field: 'input[0]', message: /must be a data URL in base64/ }],
    ['no base64', { sent: { file_data: 'data:text/plain;base64,%%' }, field: 'input', message: /not base64/ }],
    [
      'nothing',
      { sent: { file_data: 'data:text/plain;base64,' }, field: 'input', message: /empty/, code: 'INVALID_MEDIA' },
    ],
    [
      'a long name',
      {
        sent: { file_data: `data:a/b;base64,${PDF}`, filename: 'a'.repeat(256) },
        field: `${at}.filename`,
        message: /255/,
      },
    ],
    [
      'a place that has none',
      {
        sent: { file_data: `data:a/b;base64,${PDF}` },
        field: 'input[0]',
        message: /does not accept files/,
        model: 'rag-answer',
      },
    ],
    [
      'another tenant’s',
      {
        sent: { file_data: `artifact://rival/${'a'.repeat(64)}` },
        field: 'input',
        message: /./,
        code: 'ARTIFACT_NOT_FOUND',
      },
    ],
  ])('%s is refused', (_, refusal) => refused(door, { ...refusal, sent: { type: 'input_file', ...refusal.sent } }));
});

test('media that a response lists come back as what they were', () => {
  const uri = `artifact://default/${'a'.repeat(64)}`;
  const artifact = { uri, sha256: 'a'.repeat(64), bytes: 9 };
  const message = {
    role: 'user' as const,
    content: 'Hear ',
    parts: [
      { type: 'audio' as const, audio: { ...artifact, mime: 'audio/mpeg' } },
      { type: 'image' as const, image: { ...artifact, mime: 'image/png' } },
      { type: 'file' as const, file: { ...artifact, mime: 'application/pdf' }, name: 'a.pdf' },
    ],
  };
  const input = messageItemsOf([{ message, param: 'input' }], 'r') as unknown as Json;
  const { items } = readResponsesRequest({ model: 'm', input });
  const [turn] = turnsOf(items as readonly Item[], () => 'input');
  expect(turn?.message).toEqual({
    ...message,
    parts: [
      { type: 'audio', audio: { uri } },
      { type: 'image', image: { uri } },
      { type: 'file', file: { uri }, name: 'a.pdf' },
    ],
  });
});

describe('an image in what a tool has given', () => {
  const call = { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' };
  const output = [
    { type: 'input_text', text: 'seen' },
    { type: 'input_image', image_url: `data:image/png;base64,${PNG}` },
  ];
  const item = { type: 'function_call_output', call_id: 'c1', output };
  const respond = (model: string) => post('/v1/responses', { model, input: [call, item] });
  const source = { type: 'base64', media_type: 'image/png', data: PNG };
  const content = [
    { type: 'text', text: 'seen' },
    { type: 'image', source },
  ];
  const messages = [
    { role: 'user', content: 'Look.' },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'look', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content, is_error: true }] },
  ];
  const given = (text: string) => ({
    ...{ role: 'tool', content: text, toolCallId: 'c1' },
    parts: [{ type: 'image', image: { mime: 'image/png' } }],
  });
  const lastGiven = () => (inputGiven().history as readonly Json[]).at(-1);

  test('is a part of its message: Responses', async () => {
    expect((await respond('chat')).statusCode).toBe(200);
    expect(lastGiven()).toMatchObject(given('seen'));
  });

  test('is a part of its message: Anthropic’s', async () => {
    expect((await post('/v1/messages', { model: 'chat', max_tokens: 64, messages })).statusCode).toBe(200);
    expect(lastGiven()).toMatchObject(given('Error: seen'));
  });

  test('comes back as what it was', () => {
    const uri = `artifact://default/${'a'.repeat(64)}`;
    const image = { uri, sha256: 'a'.repeat(64), bytes: 9, mime: 'image/png' };
    const message = { role: 'tool' as const, content: 'seen', toolCallId: 'c1' };
    const parts = [{ type: 'image' as const, image }];
    const input = messageItemsOf([{ message: { ...message, parts }, param: 'input' }], 'r') as unknown as Json;
    const { items } = readResponsesRequest({ model: 'm', input });
    const [turn] = turnsOf(items as readonly Item[], () => 'input');
    expect(turn?.message).toEqual({ ...message, parts: [{ type: 'image', image: { uri } }] });
  });
});

describe('a document of Anthropic’s', () => {
  const door: Door = {
    ask: (content, model = 'chat') =>
      post('/v1/messages', { model, max_tokens: 64, messages: [{ role: 'user', content }] }),
    errorOf: (body) => body.error,
  };

  test('is a file with its title; what is said about it stands before it', async () => {
    const content = [
      { type: 'text', text: 'Compare' },
      {
        type: 'document',
        title: 'a.pdf',
        context: 'The older one.',
        citations: { enabled: false },
        cache_control: { type: 'ephemeral' },
        source: { type: 'base64', media_type: 'application/pdf', data: PDF },
      },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Grüße' } },
      { type: 'document', source: { type: 'url', url: await stored('default') } },
    ];
    expect((await door.ask(content)).json()).toMatchObject({ content: [{ type: 'text', text: 'So.' }] });
    const { parts, prompt } = inputGiven();
    expect(prompt).toBe('CompareThe older one.');
    expect(parts).toMatchObject([
      { type: 'file', file: { mime: 'application/pdf' }, name: 'a.pdf' },
      { type: 'file', file: { mime: 'text/plain', bytes: 7 } },
      { type: 'file', file: { mime: 'text/plain', bytes: 2 } },
    ]);
  });

  const base = (data: string, media_type = 'application/pdf') => ({ source: { type: 'base64', media_type, data } });
  const at = 'messages[0].content[0]';
  test.each<[string, Refusal]>([
    [
      'an address',
      {
        sent: { source: { type: 'url', url: 'http://169.254.169.254/' } },
        field: 'messages[0]',
        message: /not fetched/,
      },
    ],
    ['an id', { sent: { source: { type: 'file', file_id: 'f' } }, field: `${at}.source.type`, message: /./ }],
    ['a type that is none', { sent: base(PDF, 'pdf'), field: 'messages[0]', message: /data URL/ }],
    ['no base64', { sent: base('%%'), field: 'messages', message: /not base64/ }],
    ['nothing', { sent: base(''), field: 'messages', message: /empty/, code: 'INVALID_MEDIA' }],
    [
      'citations',
      {
        sent: { ...base(PDF), citations: { enabled: true } },
        field: `${at}.citations.enabled`,
        message: /not supported/,
      },
    ],
    ['no title', { sent: { ...base(PDF), title: '' }, field: `${at}.title`, message: /./ }],
    [
      'a place that has none',
      { sent: base(PDF), field: 'messages[0]', message: /does not accept files/, model: 'rag-answer' },
    ],
  ])('%s is refused', (_, refusal) => refused(door, { ...refusal, sent: { type: 'document', ...refusal.sent } }));

  test('of a tool’s result is refused, not dropped', async () => {
    const content = [{ type: 'document', ...base(PDF) }];
    await refused(door, {
      sent: { type: 'tool_result', tool_use_id: 'c1', content },
      field: `${at}.content`,
      message: /./,
    });
  });
});

describe('media of AG-UI', () => {
  const run = (messages: readonly object[], model = 'chat') =>
    post(`/v1/agui/${model}`, { threadId: 't', runId: 'r', messages });
  const door: Door = {
    ask: (content, model) => run([{ id: '1', role: 'user', content }], model),
    errorOf: (body) => body,
  };
  const data = (value: string, mimeType?: string) => ({ type: 'data', value, ...(mimeType && { mimeType }) });

  test('are parts, in their order', async () => {
    const content = [
      { type: 'image', source: data(PNG, 'image/png') },
      { type: 'text', text: 'What is it?' },
      { type: 'audio', source: data(WAV, 'audio/wav'), metadata: { at: 1 } },
      { type: 'video', source: data(MP4, 'video/mp4') },
      { type: 'document', source: data(PDF, 'application/pdf') },
      { type: 'document', source: { type: 'url', value: await stored('default') } },
    ];
    expect((await door.ask(content)).payload).toContain('RUN_FINISHED');
    expect(inputGiven()).toMatchObject({
      prompt: '',
      parts: [
        { type: 'image', image: { mime: 'image/png' } },
        { type: 'text', text: 'What is it?' },
        { type: 'audio', audio: { mime: 'audio/wav', sampleRate: 8_000 } },
        { type: 'video', video: { mime: 'video/mp4' } },
        { type: 'file', file: { mime: 'application/pdf' } },
        { type: 'file', file: { mime: 'text/plain' } },
      ],
    });
  });

  const at = 'messages.0.content.0';
  test.each<[string, Refusal]>([
    [
      'an address',
      {
        sent: { type: 'image', source: { type: 'url', value: 'http://169.254.169.254/' } },
        field: 'messages[0]',
        message: /not fetched/,
      },
    ],
    ['data of no type', { sent: { type: 'audio', source: data(WAV) }, field: 'messages[0]', message: /mimeType/ }],
    [
      'another kind',
      { sent: { type: 'video', source: data(PNG, 'image/png') }, field: 'messages', message: /video type/ },
    ],
    [
      'bytes of another kind',
      {
        sent: { type: 'video', source: data(PNG, 'video/mp4') },
        field: 'messages',
        message: /not MP4/,
        code: 'INVALID_MEDIA',
      },
    ],
    [
      'a part of no type',
      { sent: { type: 'hologram', source: data(PDF) }, field: at, message: /must be text, an image/ },
    ],
    [
      'a place that has none',
      {
        sent: { type: 'document', source: data(PDF, 'application/pdf') },
        field: 'messages[0]',
        message: /does not accept files/,
        model: 'rag-answer',
      },
    ],
  ])('%s is refused', (_, refusal) => refused(door, refusal));

  test('of a tool’s result are refused, not dropped', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
    const content = [
      { type: 'text', text: 'seen' },
      { type: 'image', source: data(PNG, 'image/png') },
    ];
    const response = await run([
      { id: '1', role: 'user', content: 'Look.' },
      { id: '2', role: 'assistant', toolCalls: [call] },
      { id: '3', role: 'tool', toolCallId: 'c1', content },
    ]);
    expect(response.json()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'messages[2]' }] });
    expect(gateway.temporal.runs.size).toBe(0);
  });
});
