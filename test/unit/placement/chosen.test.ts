import { describe, expect, it } from 'vitest';
import { chosenOf } from '../../../placement/import/chosen.js';
import type { ImportedRequest } from '../../../placement/import/trace-formats.js';
import { refusal } from './refusal.js';

/** So many requests, the latest first: of four numbers each, and of `blocks` more if prefix caches are computed. */
function* requests(count: number, blocks = 0): Iterable<ImportedRequest> {
  for (let i = 0; i < count; i += 1) {
    const names = Array.from({ length: blocks }, (_, block) => block);
    yield { seconds: -i, sizes: { a: 1, b: 2, c: 3 }, place: i + 1, blocks: names };
  }
}

const MANY = 1_000_000;
const ENDLESS = Number.POSITIVE_INFINITY;

describe('requests of a trace', () => {
  const kept = (count: number, limit: number | undefined, most: { requests: number; numbers: number }) =>
    chosenOf(requests(count), 'csv', 'x', limit === undefined ? {} : { limit }, most).map(({ place }) => place);
  const refused = (...args: Parameters<typeof kept>) => refusal(() => kept(...args));

  it('are kept up to a limit as large as any, and refused only beyond what memory holds', () => {
    const most = { requests: 10, numbers: MANY };
    for (const limit of [1, 3, 6, 9, 10]) {
      const first = Array.from({ length: limit }, (_, i) => 40 - i);
      expect(kept(40, limit, most), String(limit)).toEqual(first);
    }
    expect(kept(10, undefined, most)).toHaveLength(10);
    expect(kept(10, 4_000, most)).toHaveLength(10);
    const error = {
      code: 'INVALID_TRACE',
      fields: ['x: it has more than 10 requests: keep fewer of its requests with --limit or --sample'],
    };
    for (const limit of [undefined, 11, 4_000]) {
      expect(refused(11, limit, most)).toEqual(error);
      expect(refused(ENDLESS, limit, most)).toEqual(error);
    }
  });

  it('are counted with their sizes', () => {
    const most = { requests: MANY, numbers: 40 };
    expect(kept(10, undefined, most)).toHaveLength(10);
    expect(kept(100, 10, most)).toEqual([100, 99, 98, 97, 96, 95, 94, 93, 92, 91]);
    const error = {
      code: 'INVALID_TRACE',
      fields: ['x: it has more than 40 numbers in its requests: keep fewer of its requests with --limit or --sample'],
    };
    expect(refused(11, undefined, most)).toEqual(error);
    expect(refused(100, 11, most)).toEqual(error);
    expect(refused(ENDLESS, undefined, most)).toEqual(error);
  });

  it('are counted with the blocks of their prompts where these are kept', () => {
    const most = { requests: MANY, numbers: 40 };
    const count = (caches: { caches?: number }) => chosenOf(requests(2, 36), 'mooncake', 'x', caches, most).length;
    expect(count({})).toBe(2);
    expect(refusal(() => count({ caches: 1 })).fields).toEqual([
      expect.stringMatching(/^x: it has more than 40 numbers/),
    ]);
  });
});
