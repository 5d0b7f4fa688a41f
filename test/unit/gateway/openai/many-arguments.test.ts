import { expect, it } from 'vitest';
import { conversationOf, readRunInput } from '../../../../gateway/agui/run-input.js';
import { readChatRequest } from '../../../../gateway/openai/chat-request.js';
import { turnsOf } from '../../../../gateway/openai/responses-turns.js';

const TEXT = JSON.stringify({ a: Array(1_000).fill([]) });
const many = <T>(one: (i: number) => T): T[] => Array.from({ length: 150 }, (_, i) => one(i));
const called = (i: number) => ({ id: `c${i}`, type: 'function', function: { name: 'look', arguments: TEXT } });

const READ = {
  'chat completions': () =>
    readChatRequest({
      model: 'm',
      messages: [
        { role: 'user', content: 'Why?' },
        { role: 'assistant', content: null, tool_calls: many(called) },
      ],
    }),
  responses: () =>
    turnsOf(
      many((i) => ({ type: 'function_call' as const, call_id: `c${i}`, name: 'look', arguments: TEXT })),
      (i) => `input[${i}]`,
    ),
  'AG-UI': () =>
    conversationOf(
      readRunInput({
        threadId: 't',
        runId: 'r',
        messages: [{ role: 'assistant', content: 'x', toolCalls: many(called) }],
      }),
    ),
};

it.each(Object.entries(READ))('arguments of all calls of a request are counted together: %s', (_, read) => {
  expect(read).toThrow(/(\[\d+\]\.function)?\.arguments: has more than 100000 values/);
});
