import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [chatModel] as unknown as Pipeline[], placementOf: () => ({}) });
});
afterEach(() => gateway.close());

const user = { role: 'user', content: 'Why?' };
const send = (url: string, payload: object) =>
  gateway.app.inject({ method: 'POST', url, payload: { model: 'chat', ...payload } });
const post = (body: object) => send('/v1/chat/completions', { messages: [user], ...body });
const respond = (body: object) => send('/v1/responses', { input: 'Why?', ...body });
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output: { text: '', finish: 'tools', ...output }, stages: [] });
};

const look = { name: 'look', parameters: { type: 'object', properties: {} } };
const run = { name: 'run', description: 'Runs SQL', format: { type: 'text' } };
const TOOLS = [
  { type: 'function', function: look },
  { type: 'custom', custom: run },
];
const FLAT = [
  { type: 'function', ...look },
  { type: 'custom', ...run },
];
const offered = [
  { name: 'look', description: '', strict: false },
  {
    name: 'run',
    description: 'Runs SQL',
    strict: true,
    schema: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
  },
];
const CALLS = [
  { id: 'c1', name: 'run', arguments: { input: 'select "1"' } },
  { id: 'c2', name: 'look', arguments: {} },
  { id: 'c3', name: 'run', arguments: { sql: 'select 2' } },
];

describe('a custom tool of a chat', () => {
  const told = [
    { id: 'c1', type: 'custom', custom: { name: 'run', input: 'select "1"' } },
    { id: 'c2', type: 'function', function: { name: 'look', arguments: '{}' } },
    { id: 'c3', type: 'custom', custom: { name: 'run', input: '{"sql":"select 2"}' } },
  ];

  test('is offered as a function with one text, and called with that text', async () => {
    answers({ toolCalls: CALLS });
    const response = await post({ tools: TOOLS, tool_choice: { type: 'custom', custom: { name: 'run' } } });
    expect(inputGiven()).toMatchObject({ tools: offered, toolChoice: { name: 'run' } });
    expect(response.json()).toMatchObject({
      choices: [{ message: { content: null, tool_calls: told }, finish_reason: 'tool_calls' }],
    });
  });

  test('is called in a stream, one call a chunk', async () => {
    answers({ toolCalls: CALLS });
    const { body } = await post({ tools: TOOLS, stream: true });
    const chunks = [...body.matchAll(/^data: (\{.*)$/gm)].map(([, line]) => JSON.parse(line ?? ''));
    expect(chunks.slice(0, told.length).map(({ choices }) => choices[0].delta.tool_calls)).toEqual(
      told.map((call, index) => [{ index, ...call }]),
    );
  });

  test('may be the only one that is allowed', async () => {
    answers({ toolCalls: [] });
    const allowed = { mode: 'required', tools: [{ type: 'custom', custom: { name: 'run' } }] };
    await post({ tools: TOOLS, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } });
    expect(inputGiven()).toMatchObject({ tools: [{ name: 'run' }], toolChoice: 'required' });
  });

  test('has its earlier calls in the history', async () => {
    answers({ text: 'So.', finish: 'stop' });
    const result = { role: 'tool', tool_call_id: 'c1', content: '1' };
    await post({ messages: [user, { role: 'assistant', tool_calls: told.slice(0, 2) }, result] });
    expect(inputGiven()).toEqual({
      history: [
        user,
        { role: 'assistant', content: '', toolCalls: CALLS.slice(0, 2) },
        { role: 'tool', content: '1', toolCallId: 'c1' },
      ],
    });
  });
});

describe('a custom tool of a response', () => {
  const item = { type: 'custom_tool_call', call_id: 'c1', name: 'run', input: 'select "1"' };

  test('is offered as a function with one text, and called with that text', async () => {
    answers({ toolCalls: CALLS.slice(0, 2) });
    const response = await respond({ tools: FLAT, tool_choice: { type: 'custom', name: 'run' } });
    expect(inputGiven()).toMatchObject({ tools: offered, toolChoice: { name: 'run' } });
    expect(response.json()).toMatchObject({
      tools: FLAT,
      output: [{ ...item, id: expect.stringMatching(/^ctc_/), status: 'completed' }, { type: 'function_call' }],
    });
  });

  test('is called in a stream', async () => {
    answers({ toolCalls: CALLS.slice(0, 1) });
    const { body } = await respond({ tools: FLAT, stream: true });
    expect([...body.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const events = [...body.matchAll(/^data: (.*)$/gm)].map(([, line]) => JSON.parse(line ?? ''));
    expect(events[2]).toMatchObject({ item: { ...item, input: '', status: 'in_progress' } });
    expect(events[3]).toMatchObject({ delta: 'select "1"' });
    expect(events[5]).toMatchObject({ item });
  });

  test('has its earlier calls in the history', async () => {
    answers({ text: 'So.', finish: 'stop' });
    await respond({ input: [user, item, { type: 'custom_tool_call_output', call_id: 'c1', output: '1' }] });
    expect(inputGiven()).toEqual({
      history: [
        user,
        { role: 'assistant', content: '', toolCalls: CALLS.slice(0, 1) },
        { role: 'tool', content: '1', toolCallId: 'c1' },
      ],
    });
  });
});

describe('is refused', () => {
  const grammar = { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "a"' } };
  const custom = { type: 'custom', custom: { ...run, format: grammar } };
  const flat = { type: 'custom', ...run, format: { type: 'grammar', syntax: 'lark', definition: 'start: "a"' } };

  test.each([
    ['a grammar', () => post({ tools: [custom] }), 'tools[0].custom.format.type', /takes a grammar.*JSON Schema/],
    ['a grammar of a response', () => respond({ tools: [flat] }), 'tools[0].format.type', /takes a grammar/],
    ['another tool', () => post({ tools: [{ type: 'web_search' }] }), 'tools[0].type', /"function" or "custom"/],
    ['a name twice', () => post({ tools: [...TOOLS, { type: 'custom', custom: look }] }), 'tools', /same name twice/],
  ])('%s', async (_, request, param, why) => {
    const response = await request();
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param, message: expect.stringMatching(why) } });
    expect(gateway.temporal.runs.size).toBe(0);
  });
});
