import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readRunInput } from '../../../../gateway/agui/run-input.js';
import { readMessagesRequest } from '../../../../gateway/anthropic/messages-request.js';
import { checkedInput } from '../../../../gateway/input/first-mistakes.js';
import { readChatRequest } from '../../../../gateway/openai/chat-request.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';

let texts = 0;
afterEach(() => {
  z.config({ customError: undefined });
});

/** Counts the texts that zod makes for mistakes. */
function countTexts(): void {
  texts = 0;
  z.config({
    customError: () => {
      texts += 1;
      return undefined;
    },
  });
}

describe('the issues of an input', () => {
  const schema = z.object({
    list: z.array(z.union([z.string(), z.number(), z.object({ a: z.string() })])),
    named: z.string('must be a name').optional(),
    short: z.string().max(3).optional(),
  });

  it('have texts as far as a refusal names them, and none for those of alternatives', () => {
    const given = { list: Array(10_000).fill(true) };
    countTexts();
    const { issues } = checkedInput(schema, given);
    expect(issues).toHaveLength(10_000);
    expect(texts).toBe(20);
    expect(issues?.[19]).toMatchObject({ path: ['list', 19], message: 'Invalid input' });
  });

  it.each<[unknown]>([
    [{ list: ['a', 1, { a: 'x' }], short: 'abc' }],
    [{ list: ['a', true] }],
    [{ list: [{ a: 1 }], named: 1, short: 'abcd' }],
    [{}],
    [null],
  ])('are those that zod finds, with the same texts: %j', (value) => {
    const { data, issues } = checkedInput(schema, value);
    const zods = schema.safeParse(value);
    const shown = (all: readonly z.core.$ZodIssue[] | undefined) =>
      all?.map(({ path, message }) => ({ path, message }));
    expect([data, shown(issues)]).toEqual([zods.data, shown(zods.error?.issues)]);
  });
});

const nothing = Array.from({ length: 20_000 }, () => ({}));
const of = (role: string, content: unknown) => [{ role, content }];

it.each<[string, () => unknown, RegExp]>([
  ['chat completions', () => readChatRequest({ model: 'm', messages: nothing } as never), /^messages\[0\]/],
  [
    'a message’s parts',
    () => readChatRequest({ model: 'm', messages: of('user', nothing) } as never),
    /^messages\[0\]\.content\[0\]/,
  ],
  [
    'its tools',
    () => readChatRequest({ model: 'm', messages: of('user', 'x'), tools: nothing } as never),
    /^tools\[0\]/,
  ],
  ['responses', () => readResponsesRequest({ model: 'm', input: of('user', nothing) } as never), /^input\[0\]/],
  [
    'messages',
    () => readMessagesRequest({ model: 'm', max_tokens: 1, messages: of('user', nothing) } as never),
    /^messages\[0\]/,
  ],
  ['AG-UI', () => readRunInput({ threadId: 't', runId: 'r', messages: of('user', nothing) } as never), /^messages\.0/],
])('a list of %s of which nothing fits is refused at its first item', (_, read, field) => {
  countTexts();
  expect(read).toThrow(field);
  expect(texts).toBeLessThan(50);
});
