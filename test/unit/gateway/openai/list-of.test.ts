import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { sentIn } from '../../../../gateway/a2a/message.js';
import { readRunInput } from '../../../../gateway/agui/run-input.js';
import { readMessagesRequest } from '../../../../gateway/anthropic/messages-request.js';
import { readChatRequest } from '../../../../gateway/openai/chat-request.js';
import { listOf } from '../../../../gateway/openai/list-of.js';
import { items } from '../../../../gateway/openai/responses-items.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';
import type { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { leastCpuMs } from '../../../support/cpu-time.js';

const SOON_MS = 100;

/** The processor time that a refusal takes, in milliseconds. */
const refusedIn = (enoughMs: number, work: () => unknown) => leastCpuMs(enoughMs, () => expect(work).toThrow());

describe('a list of which nothing fits', () => {
  const empty = Array.from({ length: 20_000 }, () => ({}));
  const messages = empty.map(() => ({ role: 'user', content: 'Why?' }));
  const read = (input: readonly object[]) => readResponsesRequest({ model: 'm', input } as never);

  test('is refused in no more time than one takes of which all fits', () => {
    const soonMs = Math.max(5 * leastCpuMs(0, () => read(messages)), SOON_MS);
    expect(refusedIn(soonMs, () => read(empty))).toBeLessThan(soonMs);
    expect(refusedIn(soonMs, () => items.parse(empty))).toBeLessThan(soonMs);
  });
});

test('is refused at the first item that does not fit, with its place', () => {
  let seen = 0;
  const counted = z.object({ n: z.int() }).refine(() => ++seen > 0);
  const { error } = z.object({ list: listOf(counted) }).safeParse({ list: [{ n: 1 }, { n: 'two' }, { n: 'three' }] });
  expect(error?.issues).toMatchObject([{ code: 'invalid_type', path: ['list', 1, 'n'] }]);
  expect(seen).toBe(1);
  expect(listOf(counted, { min: 1, max: 2 }).parse([{ n: 1 }, { n: 2 }])).toEqual([{ n: 1 }, { n: 2 }]);
  for (const list of [[], [{ n: 1 }, { n: 2 }, { n: 3 }]])
    expect(listOf(counted, { min: 1, max: 2 }).safeParse(list).success).toBe(false);
});

describe('of many wrong items, and no more than a few right ones', () => {
  const messages = [{ role: 'user', content: 'Why?' }];
  const chat = (more: JsonObject) => readChatRequest({ model: 'm', messages, ...more });
  const responses = (more: JsonObject) => readResponsesRequest({ model: 'm', input: 'Why?', ...more });
  const list = Array<number>(99_000).fill(0);
  const pairs = Object.fromEntries(Array.from({ length: 49_000 }, (_, i) => [`a${i}`, i]));

  test.each<[string, (wrong: Json) => unknown, Json]>([
    ['stop', (stop) => chat({ stop }), list],
    ['modalities', (modalities) => chat({ modalities }), list],
    [
      'tool_choice',
      (tools) => chat({ tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools } } }),
      list,
    ],
    ['include', (include) => responses({ include }), list],
    ['metadata', (metadata) => responses({ metadata }), pairs],
    ['tool_choice', (tools) => responses({ tool_choice: { type: 'allowed_tools', mode: 'auto', tools } }), list],
    [
      'stop_sequences',
      (stop_sequences) => readMessagesRequest({ model: 'm', max_tokens: 1, messages, stop_sequences }),
      list,
    ],
    ['resume', (resume) => readRunInput({ threadId: 't', runId: 'r', messages: [], resume }), list],
    ['message.parts', (parts) => sentIn({ message: { messageId: 'm', role: 'ROLE_USER', parts } }), list],
  ])('%s says one mistake, and looks for no more', (field, read, wrong) => {
    const refused: MillraceError[] = [];
    const tookMs = leastCpuMs(SOON_MS, () => {
      try {
        read(wrong);
      } catch (error) {
        refused[0] = error as MillraceError;
      }
    });
    expect(refused).toMatchObject([{ code: 'INVALID_INPUT', details: { fields: [{ field: expect.any(String) }] } }]);
    expect(refused[0]?.details.fields?.[0]?.field.startsWith(field)).toBe(true);
    // Each item had a mistake of its own: a fifth of a second to a second.
    expect(tookMs).toBeLessThan(SOON_MS);
  });
});
