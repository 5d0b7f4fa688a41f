import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { chatModel, supportAgent } from '../../../../pipelines/catalog/index.js';
import {
  agent,
  chatInput,
  code,
  converse,
  type Pipeline,
  pipeline,
  tool,
  toolCalls,
} from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const look = tool({ name: 'look', description: 'Looks', input: z.object({}), run: () => 'seen' });
const acts = agent({ model: 'assistant', tools: [look] });
const question = z.object({ question: z.string() });

/** What an agent has made, under the name that calls to make usually have, and the other way round. */
const swapped = pipeline('swapped', { input: chatInput }, ({ input, stage }) => {
  const requested = stage('ask', converse({ model: 'assistant' }), input);
  const made = stage('act', acts, { prompt: 'Look.' });
  return { text: requested.text, toolCalls: made.toolCalls, log: requested.toolCalls };
});
/** Calls that come by way of the author's own code. */
const filtered = pipeline('filtered', { input: question }, ({ input, stage }) => {
  const output = z.object({ text: z.string(), calls: toolCalls(), toolCalls: z.array(z.looseObject({})) });
  const hands = code('own', { input: question, output }, () => ({ text: '', calls: [], toolCalls: [] }));
  const own = stage('own', hands, input);
  return { text: own.text, calls: own.calls, toolCalls: own.toolCalls };
});

let gateway: TestGateway;
beforeEach(async () => {
  const pipelines = [chatModel, supportAgent, swapped, filtered] as unknown as Pipeline[];
  gateway = await testGateway({}, { pipelines, placementOf: () => ({}) });
});
afterEach(() => gateway.close());

const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};
const post = (url: string, payload: object) => gateway.app.inject({ method: 'POST', url, payload });
const chat = (model: string, more: object = {}) =>
  post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Why?' }], ...more });
const respond = (model: string, more: object = {}) => post('/v1/responses', { model, input: 'Why?', ...more });
const events = (body: string) =>
  body
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice('data: '.length)));

const REFUND = { turn: 2, name: 'refund', arguments: { order: '4711' }, end: 'done', result: { status: 'refunded' } };
const REFUSED = { turn: 3, name: 'refund', arguments: { order: '1' }, end: 'refused', message: 'A person said no.' };
const EXECUTED = [
  {
    id: expect.stringMatching(/^exec_.+_0$/),
    name: 'refund',
    arguments: '{"order":"4711"}',
    status: 'completed',
    output: '{"status":"refunded"}',
    error: null,
  },
  { name: 'refund', status: 'failed', output: null, error: 'A person said no.' },
];

describe('what an agent has executed', () => {
  beforeEach(() => answers({ reply: 'Done.', toolCalls: [REFUND, REFUSED] }));

  test('is no call of a completion, but stands beside it', async () => {
    const completion = (await chat('support-agent')).json();
    expect(completion.choices[0]).toMatchObject({ message: { content: 'Done.' }, finish_reason: 'stop' });
    expect(completion.choices[0].message).not.toHaveProperty('tool_calls');
    expect(completion.millrace.executed_tool_calls).toMatchObject(EXECUTED);
  });

  test('is no call of a streamed completion', async () => {
    const chunks = events((await chat('support-agent', { stream: true })).body);
    expect(chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])).toEqual([]);
    expect(chunks.at(-1)).toMatchObject({
      choices: [{ finish_reason: 'stop' }],
      millrace: { executed_tool_calls: EXECUTED },
    });
  });

  test('is an item with its result in a response, before the message', async () => {
    const { output } = (await respond('support-agent')).json();
    expect(output.map(({ type }: { type: string }) => type)).toEqual(['mcp_call', 'mcp_call', 'message']);
    expect(output[0]).toMatchObject({ server_label: 'support-agent', ...EXECUTED[0], id: expect.any(String) });
  });

  test('is an item of a streamed response, and what is streamed is what there is in the end', async () => {
    const all = events((await respond('support-agent', { stream: true })).body);
    const { output } = (await respond('support-agent')).json();
    const done = all.filter(({ type }) => type === 'response.output_item.done');
    expect(done.map(({ output_index, item }) => [output_index, item.type])).toEqual(
      output.map(({ type }: { type: string }, i: number) => [i, type]),
    );
    expect(all.at(-1).response.output.map(({ type }: { type: string }) => type)).toEqual([
      'mcp_call',
      'mcp_call',
      'message',
    ]);
    expect(all.filter(({ type }) => type.includes('function_call'))).toEqual([]);
    expect(all.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta)).toEqual([
      'Done.',
    ]);
    expect(all.map(({ sequence_number }) => sequence_number)).toEqual(all.map((_, i) => i));
  });

  test('may be given back with the next request, as what has been done', async () => {
    answers({ text: 'So.' });
    const items = (await respond('support-agent')).json().output;
    answers({ text: 'So.' });
    const given = [
      { type: 'mcp_call', server_label: 's', ...EXECUTED[0], id: 'mcp_1' },
      { role: 'user', content: 'And now?' },
    ];
    expect(items).toBeDefined();
    expect((await respond('chat', { input: given })).statusCode).toBe(200);
    const runs = [...gateway.temporal.runs.values()];
    expect(runs.at(-1)?.options.args[0].history).toEqual([
      { role: 'assistant', content: '', toolCalls: [{ id: 'mcp_1', name: 'refund', arguments: { order: '4711' } }] },
      { role: 'tool', content: '{"status":"refunded"}', toolCallId: 'mcp_1' },
    ]);
  });
});

test('a conversation may be cut by pipelines that do so, and by no others', async () => {
  answers({ reply: 'So.', text: 'So.', toolCalls: [] });
  const cut = await respond('support-agent', { truncation: 'auto' });
  expect([cut.statusCode, cut.json().truncation]).toEqual([200, 'auto']);
  const refused = await respond('chat', { truncation: 'auto' });
  expect([refused.statusCode, refused.json().error.param]).toEqual([400, 'truncation']);
  expect((await respond('chat', { truncation: 'sometimes' })).statusCode).toBe(400);
});

describe('a call that the caller is to make', () => {
  test('is told by the schema of its field, not by its name', async () => {
    answers({ text: '', toolCalls: [REFUND], log: [{ id: 'c1', name: 'look', arguments: { at: 1 } }] });
    const completion = (await chat('swapped')).json();
    const [choice] = completion.choices;
    expect(choice.finish_reason).toBe('tool_calls');
    expect(choice.message.tool_calls).toEqual([
      { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } },
    ]);
    expect(completion.millrace.executed_tool_calls).toMatchObject([{ name: 'refund' }]);
  });

  test('may come by way of code that says so; what only has the name is none', async () => {
    const call = { id: 'c1', name: 'look', arguments: {} };
    answers({ text: 'So.', calls: [], toolCalls: [call] });
    const none = (await chat('filtered')).json();
    expect(none.choices[0]).toMatchObject({ finish_reason: 'stop' });
    expect(none.choices[0].message).not.toHaveProperty('tool_calls');
    answers({ text: 'So.', calls: [call], toolCalls: [] });
    expect((await chat('filtered')).json().choices[0].message.tool_calls).toHaveLength(1);
  });

  test('has an id of its own, also where a server gives none, or one twice', async () => {
    const calls = ['', 'c1', 'c1'].map((id) => ({ id, name: 'look', arguments: {} }));
    answers({ text: '', finish: 'tools', toolCalls: calls });
    const completion = (await chat('chat')).json();
    const ids = completion.choices[0].message.tool_calls.map(({ id }: { id: string }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(ids[1]).toBe('c1');
    expect(ids.every((id: string) => id !== '')).toBe(true);
  });
});
