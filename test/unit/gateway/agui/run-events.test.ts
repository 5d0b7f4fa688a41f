import { expect, test } from 'vitest';
import { RunEvents } from '../../../../gateway/agui/run-events.js';
import type { Answer } from '../../../../gateway/openai/chat-reply.js';

test('a call that has taken the place of another is told from the output if its events were lost', () => {
  const model = {
    textStages: new Set(['answer']),
    agents: new Set(['answer']),
    callers: new Map([['answer', 0]]),
    face: { output: 'text' },
  };
  const input = { threadId: 't', runId: 'u', messages: [], state: {} };
  const events = new RunEvents(input as never, model as never);
  const of = { stage: 'answer', path: 'answer/turn-1/refund:1', attempt: 1, tool: 'refund', number: 0 };
  const look = { id: 'exec_r_0', name: 'look', arguments: '{}', status: 'completed', output: 'seen', error: null };
  const told = [
    ...events.start('r'),
    ...events.of({ type: 'tool.called', ...of, arguments: {} }),
    ...events.of({ type: 'tool.ended', ...of, end: 'done', result: 'paid' }),
    ...events.end({ executed: [look], toolCalls: [] } as unknown as Answer, { text: 'So.' }),
  ].map(({ data }) => JSON.parse(String(data)) as Record<string, unknown>);
  expect(told.filter(({ type }) => type === 'TOOL_CALL_RESULT')).toMatchObject([
    { toolCallId: 'exec_r_0', content: 'paid' },
    { toolCallId: 'exec_r_0_again', content: 'seen' },
  ]);
  expect(told).toContainEqual(expect.objectContaining({ type: 'CUSTOM', value: { toolCallId: 'exec_r_0' } }));
});

test('reasoning that another attempt replaces is void, and comes again as another message', () => {
  const model = { textStages: new Set(['answer']), agents: new Set(), callers: new Map(), face: { output: 'text' } };
  const events = new RunEvents({ threadId: 't', runId: 'u', messages: [], state: {} } as never, model as never);
  const attempt = (n: number, text: string) => {
    const of = { stage: 'answer', path: 'answer', attempt: n };
    return [
      ...events.of({ type: 'stage.started', ...of, kind: 'chat', model: 'm' }),
      ...events.of({ type: 'stage.reasoning', ...of, text }),
    ];
  };
  const told = [...events.start('r'), ...attempt(1, 'Three '), ...attempt(2, 'Two and two.')]
    .map(({ data }) => JSON.parse(String(data)) as Record<string, unknown>)
    .filter(({ type }) => /^(REASONING_MESSAGE|CUSTOM)/.test(String(type)))
    .map(({ type, messageId, delta, value }) => [type, messageId ?? value, ...(delta === undefined ? [] : [delta])]);
  expect(told).toEqual([
    ['REASONING_MESSAGE_START', 'msg_u'],
    ['REASONING_MESSAGE_CONTENT', 'msg_u', 'Three '],
    ['REASONING_MESSAGE_END', 'msg_u'],
    ['CUSTOM', { messageId: 'msg_u' }],
    ['REASONING_MESSAGE_START', 'msg_u_1'],
    ['REASONING_MESSAGE_CONTENT', 'msg_u_1', 'Two and two.'],
  ]);
});
