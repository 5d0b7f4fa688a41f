import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { listOf } from '../../../../gateway/openai/list-of.js';
import { items } from '../../../../gateway/openai/responses-items.js';
import { readResponsesRequest } from '../../../../gateway/openai/responses-request.js';

/** The time of the processor that something takes, in milliseconds. */
function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  try {
    work();
  } catch {
    // Refused.
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

describe('a list of which nothing fits', () => {
  const empty = Array.from({ length: 20_000 }, () => ({}));
  const messages = empty.map(() => ({ role: 'user', content: 'Why?' }));
  const read = (input: readonly object[]) => readResponsesRequest({ model: 'm', input } as never);

  test('is refused in no more time than one takes of which all fits', () => {
    const fits = cpuMs(() => read(messages));
    expect(cpuMs(() => read(empty))).toBeLessThan(Math.max(5 * fits, 100));
    expect(cpuMs(() => items.parse(empty))).toBeLessThan(Math.max(5 * fits, 100));
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
