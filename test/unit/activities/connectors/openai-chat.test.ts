import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JsonObject } from '../../../../pipelines/json.js';
import { STAGE_KINDS } from '../../../../pipelines/stages/index.js';
import { ANY_ID, chatServer, city, planned, TOOLS } from './openai-chat-server.js';
import { chunk, failure, fixture } from './openai-server.js';

const at = chatServer();

describe('a streamed reply', () => {
  it('comes in pieces, and whole with its usage', async () => {
    at.server.replay(fixture('llama-cpp-text.recorded'));
    const { output, usage, chunks } = await at.chat();
    expect(output.text).toContain('Étoile');
    expect(chunks.join('')).toBe(output.text);
    expect(chunks.length).toBeGreaterThan(20);
    expect(chunks).not.toContain('');
    expect(usage).toEqual({ inputTokens: 37, outputTokens: 32 });
  });

  it('does not have the reasoning before it in its text, which is progress all the same', async () => {
    at.server.replay(fixture('vllm-reasoning.handwritten'));
    const { output, chunks } = await at.chat();
    const reasoning = 'France is a country. Its capital is Paris.';
    expect(output).toEqual({ text: 'Paris.', finish: 'stop', reasoning });
    expect(chunks).toEqual(['', '', 'Par', 'is.']);
  });

  it('is the first of several choices', async () => {
    const other = { choices: [{ index: 1, delta: { content: 'Rome.' }, finish_reason: 'stop' }] };
    at.server.events([other, chunk({ content: 'Paris.' }, 'stop'), other]);
    expect((await at.chat()).output.text).toBe('Paris.');
  });

  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['model_length', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['eos', 'stop'],
    ['end_turn', 'stop'],
  ])('that ends with %s has the finish %s', async (reason, finish) => {
    at.server.events([chunk({ content: 'Paris.' }), chunk({}, reason)]);
    expect((await at.chat()).output.finish).toBe(finish);
  });

  it.each([
    ['abort', 'BACKEND_UNAVAILABLE'],
    ['error', 'BACKEND_UNAVAILABLE'],
    ['insufficient_system_resource', 'BACKEND_UNAVAILABLE'],
    ['network_error', 'BACKEND_UNAVAILABLE'],
    ['content_filter', 'BACKEND_REJECTED'],
    ['content_filter: RECITATION', 'BACKEND_REJECTED'],
    ['sensitive', 'BACKEND_REJECTED'],
    ['refusal', 'BACKEND_REJECTED'],
    ['SAFETY', 'BACKEND_REJECTED'],
    ['function_call_filter: MALFORMED_FUNCTION_CALL', 'INVALID_OUTPUT'],
  ])('that ends with %s is %s, also where nothing else is said', async (reason, code) => {
    const alone = { choices: [{ index: 0, finish_reason: reason }] };
    for (const events of [[chunk({ content: 'Par' }), chunk({}, reason)], [alone]]) {
      at.server.events(events);
      expect(await failure(at.chat())).toMatchObject({ code, message: expect.stringContaining(reason) });
    }
  });

  it('that refuses is BACKEND_REJECTED, with what it says', async () => {
    at.server.replay(fixture('openai-refusal.handwritten'));
    expect(await failure(at.chat())).toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining("I'm sorry, I cannot help."),
    });
  });
});

describe('structured output', () => {
  const BOUND = planned({ output: z.object({ city: z.string(), country: z.string().default('unknown') }) });

  it('is read, its defaults filled in', async () => {
    at.server.replay(fixture('llama-cpp-structured.recorded'));
    const { output } = await at.chat(BOUND);
    expect(output.data).toEqual({ city: expect.any(String), country: 'unknown' });
    expect(JSON.parse(output.text as string)).toEqual({ city: (output.data as JsonObject).city });
  });

  it.each([
    ['is no JSON', 'Paris, of course', 'stop', 'is not JSON'],
    ['is cut', '{"city": "Pa', 'length', 'was cut'],
    ['does not fit', '{"city": 7}', 'stop', 'city: '],
    ['lacks a field', '{}', 'stop', 'city: '],
  ])('that %s is an error', async (_, text, finish, message) => {
    at.server.events([chunk({ content: text }), chunk({}, finish)]);
    const error = await failure(at.chat(BOUND));
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
    at.server.replay(fixture(name));
    const { output, usage, chunks } = await at.chat(TOOLS);
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: calls });
    expect(STAGE_KINDS.chat.output.safeParse(output).error).toBeUndefined();
    expect(usage?.outputTokens).toBeGreaterThan(0);
    expect(chunks.length).toBeGreaterThan(0);
  });

  it('keep the ids that the server gives', async () => {
    at.server.replay(fixture('openai-two-tools.handwritten'));
    const { toolCalls } = (await at.chat(TOOLS)).output as { toolCalls: { id: string }[] };
    expect(toolCalls.map(({ id }) => id)).toEqual(['call_a', 'call_b']);
  });

  it('get ids where the server gives none, each its own', async () => {
    const call = { function: { name: 'weather', arguments: '{"city":"Paris"}' } };
    at.server.events([chunk({ tool_calls: [call, call] }), chunk({}, 'stop')]);
    const { toolCalls } = (await at.chat(TOOLS)).output as { toolCalls: { id: string }[] };
    expect(new Set(toolCalls.map(({ id }) => id)).size).toBe(2);
    expect(toolCalls[0]?.id).toMatch(/^call_/);
  });

  it('leave the text that comes with them', async () => {
    const call = { index: 0, id: 'a', function: { name: 'weather', arguments: '{"city":"Paris"}' } };
    at.server.events([chunk({ content: 'Let me look.' }), chunk({ tool_calls: [call] }), chunk({}, 'tool_calls')]);
    expect((await at.chat(TOOLS)).output).toMatchObject({ text: 'Let me look.', finish: 'tools' });
  });

  it('are an empty list in a reply without any', async () => {
    at.server.events([chunk({ content: 'Paris.' }, 'stop')]);
    expect((await at.chat(TOOLS)).output).toEqual({ text: 'Paris.', finish: 'stop', toolCalls: [] });
  });

  it('that are cut are LENGTH', async () => {
    at.server.replay(fixture('llama-cpp-tool-call-cut.recorded'));
    expect(await failure(at.chat(TOOLS))).toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('were cut'),
    });
  });

  it('that are cut so early that vLLM sends nothing are LENGTH', async () => {
    at.server.replay(fixture('vllm-tool-call-cut.recorded'));
    expect(await failure(at.chat(TOOLS))).toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('within its token limit'),
    });
  });

  it('that are announced and do not come are INVALID_OUTPUT', async () => {
    at.server.events([chunk({ content: '' }), chunk({}, 'tool_calls')]);
    expect((await failure(at.chat(TOOLS))).code).toBe('INVALID_OUTPUT');
  });

  it('of a tool that is not on offer are INVALID_OUTPUT', async () => {
    const call = { index: 0, id: 'a', function: { name: 'launch', arguments: '{}' } };
    at.server.events([chunk({ tool_calls: [call] }), chunk({}, 'tool_calls')]);
    expect(await failure(at.chat(TOOLS))).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('"launch"'),
    });
  });

  it('of another tool than the one that has to be called are INVALID_OUTPUT', async () => {
    at.server.replay(fixture('openai-two-tools.handwritten'));
    expect(await failure(at.chat({ ...TOOLS, toolChoice: { name: 'weather' } }))).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('"time", which is not offered'),
    });
    at.server.replay(fixture('llama-cpp-tool-call-in-text.recorded'));
    expect((await failure(at.chat({ ...TOOLS, toolChoice: { name: 'time' } }))).code).toBe('INVALID_OUTPUT');
  });

  it('are the first one where one at a time is asked for, whatever follows it', async () => {
    const one = { ...TOOLS, parallelToolCalls: false };
    at.server.replay(fixture('openai-two-tools.handwritten'));
    const { output, chunks } = await at.chat(one);
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: [PARIS] });
    expect(chunks.join('')).toBe('');
    const calls = [
      { index: 0, id: 'a', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
      { index: 1, id: 'b', function: { name: 'launch', arguments: '{"ci' } },
    ];
    at.server.events([chunk({ tool_calls: calls }), chunk({}, 'tool_calls')]);
    expect((await at.chat(one)).output.toolCalls).toEqual([PARIS]);
  });

  it('are the first one of those in the text, too', async () => {
    const call = (city: string) => ({ name: 'weather', arguments: { city } });
    at.server.events([chunk({ content: JSON.stringify([call('Paris'), call('Rome')]) }, 'stop')]);
    const { output, chunks } = await at.chat({ ...TOOLS, parallelToolCalls: false });
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: [PARIS] });
    expect(chunks.join('')).toBe('');
  });

  it('win over the schema of a reply', async () => {
    at.server.replay(fixture('llama-cpp-tool-call.recorded'));
    const { output } = await at.chat({ ...TOOLS, ...planned({ output: city }) });
    expect(output).toEqual({ text: '', finish: 'tools', toolCalls: [PARIS] });
  });
});

it('a schema that cannot be read costs no call', async () => {
  at.server.events([chunk({ content: '{}' }, 'stop')]);
  const schema = { type: 'object', properties: { a: { type: 'no such type' } } };
  expect((await failure(at.chat({ schema }))).code).toBe('INVALID_PIPELINE');
  expect(at.server.received).toHaveLength(0);
});
