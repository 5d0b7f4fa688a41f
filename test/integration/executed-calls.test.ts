import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageEvent } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { runId } from '../../runs/prepare.js';
import { decideOver } from '../support/deciding.js';
import { both, chatModel, clerk, desk, ingest, reception, supportAgent } from '../support/refunding.js';
import { address } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { readEvents } from '../support/sse.js';

/**
 * What OpenAI's own client makes of agents whose tools have been executed, on real servers but for the language model, which
 * is scripted. The client's loops execute whatever they are handed as a call: a refund among it would be paid twice.
 */

const HANDBOOK = 'A broken article is refunded within 30 days.';
const MESSAGE = 'Order 4711 arrived broken. I want my money back.';

const llm = new ScriptedLlm(({ messages, tools }) => {
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (tools.includes('look_up')) {
    return results.length > 0 ? { text: `It is ${results[0]}.` } : { calls: [['look_up', { order: '4711' }]] };
  }
  if (tools.includes('transfer_to_payer')) return { text: 'One moment.', calls: [['transfer_to_payer', {}]] };
  if (tools.includes('desk')) {
    const [first] = results;
    if (first !== undefined) return { text: `The desk: ${first}` };
    return { text: 'I ask the desk.', calls: [['desk', { message: 'Pay order 4711 back.' }]] };
  }
  if (tools.includes('search') && results.length === 0) return { calls: [['search', { query: 'broken' }]] };
  const rest = results.filter((each, i) => !(tools.includes('search') && i === 0) && !each?.includes('is now with'));
  if (rest.length === 0) return { calls: [['refund', { order: '4711', reason: 'broken' }]] };
  return { text: `Refund: ${rest[0]}` };
});

/** Of a million tokens. */
const PRICE = { input: 2, output: 30 };

/** The worker loads it too, for the functions of its tools. */
const module = fileURLToPath(new URL('../support/refunding.ts', import.meta.url));

const tenant = `t-${randomUUID()}`;
let served: ServedPipelines;
let client: OpenAI;
beforeAll(async () => {
  const minilm = {
    connector: 'triton',
    kind: 'embed',
    model: 'minilm',
    endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
  };
  const models = await llm.listen('assistant', { minilm }, PRICE);
  const pipelines = [supportAgent, chatModel, ingest, desk, both, clerk, reception] as unknown as Pipeline<never>[];
  served = await servePipelines(pipelines, { more: { MILLRACE_MODELS: models, MILLRACE_PIPELINES: module } });
  const defaultHeaders = { 'millrace-tenant': tenant };
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0, defaultHeaders });
  await served.run('ingest', { passages: [{ id: 'broken', text: HANDBOOK }] }, defaultHeaders);
});
afterAll(async () => {
  await served?.close();
  llm.close();
});

/** Asks the support agent, and lets a person approve the refund. */
async function approved<T>(ask: (options: OpenAI.RequestOptions) => PromiseLike<T>): Promise<T> {
  const idempotencyKey = randomUUID();
  const id = runId({ pipeline: supportAgent as unknown as Pipeline, tenant, idempotencyKey });
  const [answer] = await Promise.all([
    ask({ headers: { 'idempotency-key': idempotencyKey } }),
    decideOver(`${served.url}/v1/runs/${id}`, 'approve', {
      path: 'answer/turn-2/refund',
      headers: { 'millrace-tenant': tenant },
    }).then(async (response) => expect(response.status, await response.text()).toBe(202)),
  ]);
  return answer;
}

const messages = [{ role: 'user' as const, content: MESSAGE }];
const executedIn = (answer: object) =>
  (answer as { millrace?: { executed_tool_calls: readonly object[] } }).millrace?.executed_tool_calls;
const SEARCHED = { name: 'search', status: 'completed', output: expect.stringContaining(HANDBOOK), error: null };
const REFUNDED = {
  name: 'refund',
  arguments: '{"order":"4711","reason":"broken"}',
  status: 'completed',
  output: expect.stringContaining('"status":"refunded"'),
  error: null,
};

describe('a refund that a person has approved', () => {
  test('is no call of a completion', async () => {
    const completion = await approved((options) =>
      client.chat.completions.create({ model: 'support-agent', messages }, options),
    );
    expect(completion.choices).toMatchObject([
      { finish_reason: 'stop', message: { role: 'assistant', content: expect.stringContaining('refunded') } },
    ]);
    expect(completion.choices[0]?.message.tool_calls).toBeUndefined();
    expect(executedIn(completion)).toMatchObject([SEARCHED, REFUNDED]);
  });

  test('is no call of a streamed completion, as the client puts it together', async () => {
    const [chunks, completion] = await approved(async (options) => {
      const chunks: OpenAI.ChatCompletionChunk[] = [];
      const stream = client.chat.completions.stream({ model: 'support-agent', messages }, options);
      for await (const chunk of stream) chunks.push(chunk);
      return [chunks, await stream.finalChatCompletion()] as const;
    });
    expect(completion.choices[0]?.finish_reason).toBe('stop');
    expect(completion.choices[0]?.message.content).toContain('refunded');
    expect(completion.choices[0]?.message.tool_calls).toBeUndefined();
    expect(chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])).toEqual([]);
    const executed = chunks.flatMap((chunk) => executedIn(chunk) ?? []);
    expect(executed).toMatchObject([SEARCHED, REFUNDED]);
  });

  test('is an item of a response that is done, and no call of a function', async () => {
    const response = await approved((options) =>
      client.responses.create({ model: 'support-agent', input: MESSAGE }, options),
    );
    expect(response.status).toBe('completed');
    expect(response.output_text).toContain('refunded');
    expect(response.output).toMatchObject([
      { type: 'mcp_call', server_label: 'support-agent', ...SEARCHED },
      { type: 'mcp_call', server_label: 'support-agent', ...REFUNDED },
      { type: 'message', role: 'assistant' },
    ]);
  });

  test('is the same of a streamed response, as the client puts it together', async () => {
    const [types, response] = await approved(async (options) => {
      const stream = client.responses.stream({ model: 'support-agent', input: MESSAGE }, options);
      const types: string[] = [];
      for await (const { type } of stream) types.push(type);
      return [types, await stream.finalResponse()] as const;
    });
    expect(types.filter((type) => type.startsWith('response.function_call'))).toEqual([]);
    expect(types.filter((type) => type === 'response.mcp_call.completed')).toHaveLength(2);
    expect(response.output).toMatchObject([
      { type: 'mcp_call', ...SEARCHED },
      { type: 'mcp_call', ...REFUNDED },
      { type: 'message' },
    ]);
    expect(response.output_text).toContain('refunded');
  });
});

describe('an agent that is watched', () => {
  test('shows its call before a person has decided on it', async () => {
    const idempotencyKey = randomUUID();
    const id = runId({ pipeline: supportAgent as unknown as Pipeline, tenant, idempotencyKey });
    const options = { headers: { 'idempotency-key': idempotencyKey } };
    const stream = client.responses.stream({ model: 'support-agent', input: MESSAGE }, options);
    let shown: string | undefined;
    for await (const event of stream) {
      if (event.type !== 'response.mcp_call_arguments.done' || !event.arguments.includes('4711')) continue;
      shown = event.arguments;
      const decided = await decideOver(`${served.url}/v1/runs/${id}`, 'approve', {
        path: 'answer/turn-2/refund',
        headers: { 'millrace-tenant': tenant },
      });
      expect(decided.status).toBe(202);
    }
    expect(shown).toBe(REFUNDED.arguments);
    expect((await stream.finalResponse()).output).toMatchObject([SEARCHED, REFUNDED, { type: 'message' }]);
  });

  test('says what it does, and what the run does that it has started', async () => {
    const response = await served.post('clerk', JSON.stringify({ message: MESSAGE }), {
      'content-type': 'application/json',
      'millrace-tenant': tenant,
      prefer: 'respond-async',
    });
    const { id } = (await response.json()) as { id: string };
    const events: StageEvent[] = [];
    const followed = await fetch(`${served.url}/v1/runs/${id}/events`, { headers: { 'millrace-tenant': tenant } });
    for await (const { event, data } of readEvents(followed))
      if (event !== 'run') events.push(JSON.parse(data) as StageEvent);
    const calls = events.filter(({ type }) => type === 'tool.called' || type === 'tool.ended');
    const desk = expect.stringMatching(/^ask\/turn-1\/desk:[0-9a-f]{12}$/);
    const inDesk = expect.stringMatching(/^ask\/turn-1\/desk:[0-9a-f]{12}\/answer\/turn-1\/refund:[0-9a-f]{12}$/);
    expect(calls).toMatchObject([
      {
        type: 'tool.called',
        path: desk,
        stage: 'ask',
        tool: 'desk',
        number: 0,
        arguments: { message: expect.any(String) },
      },
      { type: 'tool.called', path: inDesk, tool: 'refund', arguments: { order: '4711' } },
      { type: 'tool.ended', path: inDesk, end: 'done', result: { status: 'refunded' } },
      { type: 'tool.ended', path: desk, end: 'done', result: { reply: expect.stringContaining('refunded') } },
    ]);
    const textOf = (stage: string | RegExp) => {
      const deltas = events.flatMap((event) =>
        event.type === 'stage.delta' && event.stage.match(stage) ? [event] : [],
      );
      // The text of an attempt that is repeated is discarded.
      const last = new Map<string, number>();
      for (const { path, attempt } of deltas) last.set(path, Math.max(attempt, last.get(path) ?? 0));
      return deltas.flatMap(({ path, attempt, text }) => (attempt === last.get(path) ? [text] : [])).join('');
    };
    expect(textOf(/^ask$/)).toMatch(/^I ask the desk\.The desk: /);
    expect(textOf(/^ask\/turn-1\/desk:[0-9a-f]{12}\/answer$/)).toMatch(/^Refund: .*refunded/);

    const one = `${served.url}/v1/runs/${id}`;
    const headers = { 'millrace-tenant': tenant };
    expect((await fetch(one, { method: 'DELETE', headers })).status).toBe(204);
    await expect.poll(async () => (await fetch(one, { headers })).status, { timeout: 100_000 }).toBe(404);
  });

  test('shows that it hands over, and what the other agent does', async () => {
    const response = await client.responses.create({ model: 'reception', input: MESSAGE });
    expect(response.output).toMatchObject([
      { type: 'message', phase: 'commentary', content: [{ text: 'One moment.' }] },
      { type: 'mcp_call', name: 'transfer_to_payer', output: 'The conversation is now with payer.' },
      { type: 'mcp_call', ...REFUNDED },
      { type: 'message', content: [{ text: expect.stringContaining('refunded') }] },
    ]);
  });

  test('has in its document what it costs, with the run that its tool is', async () => {
    const before = { ...llm.tokens };
    const { response } = await client.chat.completions.create({ model: 'clerk', messages }).withResponse();
    const id = response.headers.get('millrace-run');
    const headers = { 'millrace-tenant': tenant };
    const usage = async () =>
      ((await (await fetch(`${served.url}/v1/runs/${id}`, { headers })).json()) as RunDocument).usage;
    const inputTokens = llm.tokens.input - before.input;
    const outputTokens = llm.tokens.output - before.output;
    const cost = (inputTokens * PRICE.input + outputTokens * PRICE.output) / 1_000_000;
    // The answer may be ahead of Temporal's record.
    await expect.poll(usage).toEqual({ inputTokens, outputTokens, cost: expect.closeTo(cost, 9) });
  });

  test('has each text once in the clients of chats, with its calls beside it', async () => {
    const stream = client.chat.completions.stream({ model: 'clerk', messages });
    const more: JsonObject[] = [];
    for await (const chunk of stream) {
      const { millrace } = chunk as { millrace?: JsonObject };
      if (millrace) more.push(millrace);
    }
    const content = await stream.finalContent();
    expect(content).toMatch(/^I ask the desk\.\n\nThe desk: .*refunded/);
    expect(more).toMatchObject([
      { tool_call: { name: 'desk', status: 'in_progress' } },
      { tool_call: { name: 'desk', status: 'completed' } },
      { executed_tool_calls: [{ name: 'desk' }], answer_from: 'I ask the desk.\n\n'.length },
    ]);
  });
});

describe("the client's own loop over tools", () => {
  const called: string[] = [];
  const functionNamed = (name: string, result: string) => ({
    type: 'function' as const,
    function: {
      name,
      description: name,
      parameters: { type: 'object', properties: { order: { type: 'string' } } },
      parse: JSON.parse as (text: string) => { order: string },
      function: ({ order }: { order: string }) => {
        called.push(`${name} ${order}`);
        return result;
      },
    },
  });
  beforeEach(() => void called.splice(0));

  test('does not pay what the agent has paid', async () => {
    const loop = client.chat.completions.runTools({
      model: 'desk',
      messages,
      tools: [functionNamed('refund', 'paid by the client')],
    });
    expect(await loop.finalContent()).toContain('refunded');
    expect(called).toEqual([]);
    const completions = loop.allChatCompletions();
    expect(completions).toHaveLength(1);
    expect(executedIn(completions[0] as object)).toMatchObject([REFUNDED]);
  });

  test('makes the calls that it is to make, and gives their results back by their ids', async () => {
    const loop = client.chat.completions.runTools({
      model: 'chat',
      messages,
      tools: [functionNamed('look_up', 'on its way')],
    });
    expect(await loop.finalContent()).toBe('It is on its way.');
    expect(called).toEqual(['look_up 4711']);
    const [first, second] = loop.allChatCompletions();
    expect(first?.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: expect.stringMatching(/./), function: { name: 'look_up' } }] },
    });
    expect(executedIn(first as object)).toBeUndefined();
    expect(second?.choices[0]?.finish_reason).toBe('stop');
  });
});

describe('a run that has made calls and asks for others', () => {
  const parameters = { type: 'object', properties: { order: { type: 'string' } } };

  test('has only the others among the calls of a completion', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'look_up', parameters } }];
    const completion = await client.chat.completions.create({ model: 'both', messages, tools });
    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: expect.stringMatching(/./), function: { name: 'look_up' } }] },
    });
    expect(completion.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(executedIn(completion)).toMatchObject([REFUNDED]);
  });

  test('has both in a response, each as what it is', async () => {
    const tools = [{ type: 'function' as const, name: 'look_up', parameters, strict: false }];
    const response = await client.responses.create({ model: 'both', input: MESSAGE, tools });
    expect(response.output).toMatchObject([
      { type: 'mcp_call', ...REFUNDED },
      { type: 'function_call', call_id: expect.stringMatching(/./), name: 'look_up', arguments: '{"order":"4711"}' },
    ]);
  });
});

describe('the trace of a request', () => {
  test('is that of all its calls of models, those of an agent in the agent too', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const before = llm.traces.length;
    await client.chat.completions.create(
      { model: 'clerk', messages },
      { headers: { traceparent: `00-${trace}-00f067aa0ba902b7-00` } },
    );
    const traces = llm.traces.slice(before);
    expect(traces.length).toBeGreaterThan(2);
    expect(new Set(traces)).toEqual(new Set([`00-${trace}-00f067aa0ba902b7-00`]));
  });

  test('is the run’s own without a valid one', async () => {
    const before = llm.traces.length;
    const headers = { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` };
    await client.chat.completions.create({ model: 'clerk', messages }, { headers });
    const traces = llm.traces.slice(before).map((each) => each?.slice(3, 35));
    expect(new Set(traces).size).toBe(1);
    expect(traces[0]).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  });
});
