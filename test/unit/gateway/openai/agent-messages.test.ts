import { randomUUID } from 'node:crypto';
import { type BaseEvent, HttpAgent } from '@ag-ui/client';
import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, test } from 'vitest';
import { agentDoor, call, called, of, record, rethought, said, torn, turns } from './agent-door.js';

const door = agentDoor();

test("Anthropic's messages have a block for each turn", async () => {
  door.events = torn();
  door.answers('It is done.', 'I look.');
  const client = new Anthropic({ baseURL: door.url, apiKey: 'none', maxRetries: 0 });
  const stream = client.messages.stream({
    model: 'desk',
    max_tokens: 64,
    messages: [{ role: 'user', content: 'Pay!' }],
  });
  const { content, stop_reason } = await stream.finalMessage();
  expect(content).toMatchObject(['I look.', 'It is paid.', 'It is done.'].map((text) => ({ type: 'text', text })));
  expect(stop_reason).toBe('end_turn');
  // What its clients skip, others read.
  const raw = await door.gateway.app.inject({
    method: 'POST',
    url: '/v1/messages',
    payload: { model: 'desk', max_tokens: 64, stream: true, messages: [{ role: 'user', content: 'Pay!' }] },
  });
  const extension = raw.body.split('\n').filter((line) => line.startsWith('data: {"type":"ping"'));
  expect(extension.map((line) => JSON.parse(line.slice(6)).millrace)).toMatchObject([
    { tool_call: { name: 'refund', arguments: '{"order":"1"}', status: 'in_progress' } },
    { tool_call: { name: 'refund', status: 'completed', output: 'paid' } },
    { void_block: 1 },
  ]);
  // Events of other types break some clients, such as Vercel's.
  const types = new Set(raw.body.split('\n').flatMap((line) => (line.startsWith('event: ') ? [line.slice(7)] : [])));
  const known = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta'];
  expect([...types].filter((type) => ![...known, 'message_stop', 'ping', 'error'].includes(type))).toEqual([]);
});

describe('AG-UI', () => {
  async function run() {
    const client = new HttpAgent({ url: `${door.url}/v1/agui/desk`, threadId: randomUUID() });
    client.messages = [{ id: '1', role: 'user', content: 'Pay!' }];
    const all: (BaseEvent & Record<string, unknown>)[] = [];
    client.subscribe({ onEvent: ({ event }) => void all.push(event as never) });
    const { newMessages } = await client.runAgent();
    return { all, newMessages };
  }

  test('has the messages, the thoughts, the calls and their results in their order', async () => {
    door.events = turns();
    door.answers('It is paid.', 'I look.');
    const { newMessages } = await run();
    expect(newMessages).toMatchObject([
      { role: 'reasoning', content: 'Hm.' },
      {
        role: 'assistant',
        content: 'I look.',
        toolCalls: [{ function: { name: 'refund', arguments: '{"order":"1"}' } }],
      },
      { role: 'tool', content: 'paid' },
      { role: 'assistant', content: 'It is paid.' },
    ]);
  });

  test('has one message where its model thinks again before another attempt', async () => {
    door.events = rethought();
    door.answers('It is paid.', 'I look.');
    const { newMessages } = await run();
    expect(newMessages.slice(-2)).toMatchObject([
      { role: 'reasoning', content: 'So.' },
      { role: 'assistant', content: 'It is paid.' },
    ]);
  });

  test('names a message that is void, though its model thinks again', async () => {
    door.events = [
      ...rethought().slice(0, -3),
      { type: 'stage.reasoning', ...of('answer/turn-2', 2), text: 'Again.' },
      ...said('answer/turn-2', 'Done.'),
    ];
    door.answers('Done.', 'I look.');
    const { all, newMessages } = await run();
    const [voided] = all.flatMap(({ type, value }) => (type === 'CUSTOM' ? [value as { messageId: string }] : []));
    const broken = newMessages.find(({ id }) => id === voided?.messageId);
    expect(broken).toMatchObject({ role: 'assistant', content: 'It is' });
    expect(newMessages.at(-1)).toMatchObject({ content: 'Done.' });
  });

  test('names a message that is void', async () => {
    door.events = torn();
    door.answers('It is done.', 'I look.');
    const { all, newMessages } = await run();
    const [voided] = all.filter(({ type }) => type === 'CUSTOM');
    const [broken, whole] = newMessages.slice(-2);
    expect(broken).toMatchObject({
      content: 'It is paid.',
      id: (voided as { value?: { messageId: string } } | undefined)?.value?.messageId,
    });
    expect(whole).toMatchObject({ content: 'It is done.' });
  });

  test('names a call that another candidate makes differently, and tells the other with its result', async () => {
    const other = { ...call, path: 'answer~1/turn-1/refund:2' };
    door.events = [
      called,
      { type: 'tool.called', ...other, arguments: { order: '2' } },
      { type: 'tool.ended', ...other, end: 'done', result: 'paid' },
    ];
    door.answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' } }] });
    const { all, newMessages } = await run();
    const calls = newMessages.flatMap((each) => (each.role === 'assistant' ? (each.toolCalls ?? []) : []));
    expect(calls.map((each) => each.function.arguments)).toEqual(['{"order":"1"}', '{"order":"2"}']);
    expect(newMessages.filter(({ role }) => role === 'tool')).toMatchObject([
      { toolCallId: calls[0]?.id, content: 'Error: the call was not made' },
      { toolCallId: calls[1]?.id, content: 'paid' },
    ]);
    expect(all.filter(({ type }) => type === 'CUSTOM')).toMatchObject([
      { name: 'millrace.void', value: { toolCallId: calls[0]?.id } },
    ]);
  });
});
