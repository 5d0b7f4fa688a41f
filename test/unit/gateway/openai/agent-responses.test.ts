import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { agentDoor, call, called, finished, record, rethought, said, started, torn, turns } from './agent-door.js';

const door = agentDoor();

describe('a streamed response', () => {
  async function streamed(model = 'desk') {
    const all: OpenAI.Responses.ResponseStreamEvent[] = [];
    const stream = door.openai().responses.stream({ model, input: 'Pay!' });
    for await (const event of stream) all.push(event);
    const done = all.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item] : []));
    return { all, done, response: await stream.finalResponse() };
  }

  test('has a message for each turn, and the calls between them, as they come', async () => {
    door.events = turns();
    door.answers('It is paid.', 'I look.');
    const { all, done, response } = await streamed();
    const types = ['reasoning', 'message', 'mcp_call', 'message'];
    expect(done.map(({ type }) => type)).toEqual(types);
    expect(response.output.map(({ type }) => type)).toEqual(types);
    expect(response.output).toMatchObject([
      { content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { phase: 'commentary', content: [{ text: 'I look.' }] },
      { name: 'refund', output: 'paid', error: null },
      { content: [{ text: 'It is paid.' }] },
    ]);
    const indexes = all.flatMap((event) => (event.type === 'response.output_item.added' ? [event.output_index] : []));
    expect(indexes).toEqual([0, 1, 2, 3]);
    const deltas = all.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
    expect(deltas).toEqual(['I ', 'look.', 'It is', ' paid.']);
    // The call began before it ended, and both before the answer.
    const order = all.map(({ type }) => type);
    expect(order.indexOf('response.mcp_call.in_progress')).toBeLessThan(order.indexOf('response.mcp_call.completed'));
    expect(new Set(done.map(({ id }) => id)).size).toBe(4);
    // Read again, without a stream, it has the same items with the same ids.
    const again = await door.openai().responses.create({ model: 'desk', input: 'Pay!' });
    const withoutRun = (items: readonly { id?: string | null }[]) =>
      items.map(({ id }) => id?.replace(/desk-[0-9a-f-]+/, ''));
    expect(withoutRun(again.output)).toEqual(withoutRun(response.output.slice(1)));
  });

  test('has one message where its model thinks again before another attempt', async () => {
    door.events = rethought();
    door.answers('It is paid.', 'I look.');
    const { response } = await streamed();
    expect(response.output).toMatchObject([
      { content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { content: [{ text: 'I look.' }] },
      { name: 'refund' },
      { content: [{ type: 'reasoning_text', text: 'So.' }] },
      { content: [{ text: 'It is paid.' }] },
    ]);
  });

  test('ends a void message as incomplete, and sends it again', async () => {
    door.events = torn();
    door.answers('It is done.', 'I look.');
    const { done, response } = await streamed();
    expect(done.slice(3)).toMatchObject([
      { type: 'message', status: 'incomplete', content: [{ text: 'It is paid.' }] },
      { type: 'message', status: 'completed', content: [{ text: 'It is done.' }] },
    ]);
    expect(response.output).toHaveLength(4);
    expect(response.output.at(-1)).toMatchObject({ content: [{ text: 'It is done.' }] });
  });

  test.each([
    ['an output does not list', 'terse', ['incomplete', 'completed']],
    ['a record of calls lacks', 'desk', ['completed', 'completed']],
  ])('has its answer behind a message that %s', async (_, model, statuses) => {
    door.events = turns();
    if (model === 'terse')
      door.gateway.temporal.onStart = (run) => run.end({ output: { reply: 'It is paid.' }, stages: [] });
    else door.answers('It is paid.');
    const { all, done, response } = await streamed(model);
    const messages = done.filter(({ type }) => type === 'message');
    expect(messages).toMatchObject([{ content: [{ text: 'I look.' }] }, { content: [{ text: 'It is paid.' }] }]);
    expect(messages.map((item) => 'status' in item && item.status)).toEqual(statuses);
    expect(response.output_text).toBe(model === 'terse' ? 'It is paid.' : 'I look.It is paid.');
    expect(response.output.at(-1)).toMatchObject({ status: 'completed', content: [{ text: 'It is paid.' }] });
    const deltas = all.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
    expect(deltas).toEqual(['I ', 'look.', 'It is', ' paid.']);
  });

  test('has each text that the output lists, though the message before it was lost', async () => {
    const second = { ...call, path: 'answer/turn-2/refund:1', number: 1 };
    door.events = [
      { type: 'events.lost' },
      started('answer/turn-2'),
      ...said('answer/turn-2', 'I pay.'),
      finished('answer/turn-2'),
      { type: 'tool.called', ...second, arguments: { order: '1' } },
      { type: 'tool.ended', ...second, end: 'done', result: 'paid' },
      started('answer/turn-3'),
      ...said('answer/turn-3', 'It is paid.'),
      finished('answer/turn-3'),
    ];
    const toolCalls = [
      { ...record, said: 'I look.' },
      { ...record, turn: 2, said: 'I pay.' },
    ];
    door.answers('It is paid.', undefined, { toolCalls });
    const { done, response } = await streamed();
    const texts = (items: typeof done) =>
      items.flatMap((item) => (item.type === 'message' && 'text' in (item.content[0] ?? {}) ? item.content : []));
    expect(texts(done)).toMatchObject([{ text: 'I pay.' }, { text: 'It is paid.' }, { text: 'I look.' }]);
    expect(texts(response.output)).toHaveLength(3);
    expect(new Set(response.output.map(({ id }) => id)).size).toBe(5);
  });

  test('has a call of the record in place of another one that was told under its id', async () => {
    door.events = turns();
    door.answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' }, said: 'I look.' }] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([
      { arguments: '{"order":"1"}' },
      { arguments: '{"order":"2"}' },
    ]);
    const calls = response.output.filter(({ type }) => type === 'mcp_call');
    expect(calls).toMatchObject([{ arguments: '{"order":"2"}', output: 'paid', status: 'completed' }]);
  });

  test('ends a call that another candidate makes differently, and tells the other', async () => {
    const other = { ...call, path: 'answer~1/turn-1/refund:2' };
    door.events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'I look.'),
      finished('answer/turn-1'),
      called,
      started('answer~1/turn-1'),
      finished('answer~1/turn-1'),
      { type: 'tool.called', ...other, arguments: { order: '2' } },
      { type: 'tool.ended', ...other, end: 'done', result: 'paid' },
    ];
    door.answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' } }] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([
      { arguments: '{"order":"1"}', status: 'incomplete' },
      { arguments: '{"order":"2"}', status: 'completed', output: 'paid' },
    ]);
    expect(response.output.filter(({ type }) => type === 'mcp_call')).toHaveLength(1);
  });

  test('ends a call of a candidate that failed, also if its successor makes none', async () => {
    door.events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'I look.'),
      finished('answer/turn-1'),
      called,
      started('answer~1/turn-1'),
      ...said('answer~1/turn-1', 'It is paid.'),
      finished('answer~1/turn-1'),
    ];
    door.answers('It is paid.', undefined, { toolCalls: [] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([{ status: 'incomplete' }]);
    expect(response.output.map(({ type }) => type)).toEqual(['message', 'message']);
  });
});
