import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { agent, chat as chatStage, tool } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { agentOf } from '../../../../pipelines/plan/index.js';
import { chunk, type Exchange, failure, fixture, invoke, SimulatedServer } from './openai-server.js';

/** The model calls of an agent: a conversation with tools in it, and wrong calls that come back to be told. */
let server: SimulatedServer;
let backend: Backend;
beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const place = z.object({ city: z.string().min(2), days: z.int().default(1) });
const named = (name: string) => tool({ name, description: 'x', input: place, run: () => 1 });
const { tools } = agentOf(agent({ model: 'm', tools: [named('weather'), named('time')] }));
const OPTIONS = {
  tools: tools.map(({ name, description, schema }) => ({ name, description, schema })),
  wrongCalls: 'report',
} as unknown as JsonObject;
const ask = (options: JsonObject = {}, input: JsonObject = { prompt: 'Oslo?' }) =>
  invoke(backend, { kind: 'chat', with: { ...OPTIONS, ...options }, input });
const calling = (...calls: (readonly [name: string, text: string])[]) => [
  ...calls.map(([name, text], index) =>
    chunk({ tool_calls: [{ index, id: `c${index}`, function: { name, arguments: text } }] }),
  ),
];

describe('a conversation with tools in it', () => {
  it('goes as OpenAI’s messages, without a prompt behind it', async () => {
    server.events([chunk({ content: 'Sun.' }, 'stop')]);
    const history = [
      { role: 'user', content: 'Oslo?' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'weather', arguments: { city: 'Oslo' } }] },
      { role: 'tool', content: '{"sun":true}', toolCallId: 'a' },
      { role: 'assistant', content: 'Let me see.', toolCalls: [{ id: 'b', name: 'time', arguments: {} }] },
      { role: 'tool', content: 'noon', toolCallId: 'b' },
    ];
    await ask({ system: 'Be kind.' }, { history });
    const call = (id: string, name: string, text: string) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    });
    expect(server.received[0]?.body.messages).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Oslo?' },
      { role: 'assistant', content: null, tool_calls: [call('a', 'weather', '{"city":"Oslo"}')] },
      { role: 'tool', content: '{"sun":true}', tool_call_id: 'a' },
      { role: 'assistant', content: 'Let me see.', tool_calls: [call('b', 'time', '{}')] },
      { role: 'tool', content: 'noon', tool_call_id: 'b' },
    ]);
  });
});

describe('tool calls for an agent', () => {
  it('are checked, and filled with the defaults of their schema', async () => {
    server.events([
      ...calling(['weather', '{"city":"Oslo"}'], ['time', '{"city":"Rome","days":2}']),
      chunk({}, 'tool_calls'),
    ]);
    expect((await ask()).output).toEqual({
      text: '',
      finish: 'tools',
      toolCalls: [
        { id: 'c0', name: 'weather', arguments: { city: 'Oslo', days: 1 } },
        { id: 'c1', name: 'time', arguments: { city: 'Rome', days: 2 } },
      ],
    });
  });

  it.each([
    [
      'arguments that do not fit',
      ['weather', '{"city":3,"days":1}'],
      'tool_calls',
      /do not fit: city: .*string/,
      { city: 3, days: 1 },
    ],
    ['arguments that break a rule', ['weather', '{"city":"O"}'], 'tool_calls', /do not fit: city/, { city: 'O' }],
    ['arguments that are cut', ['weather', '{"city":"Os'], 'length', /were cut off at the reply’s token limit/, {}],
    ['arguments that are no object', ['weather', '"Oslo"'], 'tool_calls', /are not a JSON object/, {}],
    [
      'a tool of another name',
      ['wether', '{"city":"Oslo"}'],
      'tool_calls',
      /no tool "wether"; there are weather, time/,
      { city: 'Oslo' },
    ],
  ] as const)('say what is wrong with %s', async (_, call, finish, message, given) => {
    server.events([...calling(call), chunk({}, finish)]);
    const [wrong] = (await ask()).output.toolCalls as unknown as JsonObject[];
    expect(wrong).toMatchObject({ id: 'c0', name: call[0], arguments: given, wrong: expect.stringMatching(message) });
  });

  it('are found in text, and whatever the server says of the end', async () => {
    server.events([chunk({ content: '```json\n{"name":"weather","parameters":{"city":"Oslo"}}\n```' }, 'stop')]);
    expect((await ask()).output).toMatchObject({
      finish: 'tools',
      toolCalls: [{ arguments: { city: 'Oslo', days: 1 } }],
    });
    server.events([chunk({ content: '{"name":"weather","arguments":{"town":"Oslo"}}' }, 'stop')]);
    expect((await ask()).output).toMatchObject({ toolCalls: [{ wrong: expect.stringMatching(/city/) }] });
    server.events([...calling(['weather', '{"city":"Oslo"}']), chunk({}, 'stop')]);
    expect((await ask()).output).toMatchObject({ finish: 'tools' });
  });

  it('that a real server cut at its limit are told as cut', async () => {
    const { with: options } = chatStage({
      model: 'm',
      tools: [{ name: 'get_weather', description: 'x', input: z.object({ city: z.string() }) }],
    });
    const recorded = fixture<Exchange>('llama-cpp-tool-call-cut.recorded');
    server.replay(recorded);
    const strict = await failure(invoke(backend, { kind: 'chat', with: options }));
    expect(strict.code).toBe('INVALID_OUTPUT');
    const { output } = await invoke(backend, { kind: 'chat', with: { ...options, wrongCalls: 'report' } });
    expect(output.toolCalls).toMatchObject([{ wrong: expect.stringMatching(/cut|no tool/) }]);
  });
});

describe('a free answer of an agent with a schema', () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

  it('is not bound; where it fits it is data all the same', async () => {
    server.events([chunk({ content: '{"city":"Oslo"}' }, 'stop')]);
    expect((await ask({ schema, bind: false })).output).toMatchObject({ data: { city: 'Oslo' } });
    expect(server.received[0]?.body.response_format).toBeUndefined();
    for (const content of ['It is Oslo.', '{"town":"Oslo"}']) {
      server.events([chunk({ content }, 'stop')]);
      const { output } = await ask({ schema, bind: false });
      expect(output).toMatchObject({ text: content, finish: 'stop' });
      expect(output).not.toHaveProperty('data');
    }
  });
});
