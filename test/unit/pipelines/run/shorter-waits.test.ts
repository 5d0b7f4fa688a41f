import { describe, expect, it } from 'vitest';
import type { Json } from '../../../../pipelines/json.js';
import { bytesOf } from '../../../../pipelines/json-limits.js';
import { fittingWait, fittingWaits, type Wait } from '../../../../pipelines/run/index.js';
import { waitFor } from '../../../support/waits.js';

const MOST = 1_000_000;
const size = (waits: Wait | readonly Wait[]) => bytesOf(waits as unknown as Json);
const many = (count: number, more: Partial<Wait>): readonly Wait[] =>
  Array.from({ length: count }, (_, i) => ({ ...waitFor(`votes[${i}]/vote`), ...more }));
const nonces = (waits: readonly Wait[]) => waits.map(({ nonce }) => nonce);

describe('open waits that are too large together', () => {
  it.each<[string, number, Partial<Wait>]>([
    ['drafts', 256, { subject: 'd'.repeat(9_000) }],
    ['a large document', 4, { subject: 'd'.repeat(600_000) }],
    ['texts of another script', 256, { subject: '字'.repeat(9_000) }],
    ['calls', 130, { call: { tool: 'pay', digest: 'e'.repeat(64), arguments: { to: 'x'.repeat(16_000) } } }],
    ['questions', 200, { question: { message: 'q'.repeat(9_000), schema: { type: 'object' } } }],
    ['forms', 200, { question: { message: 'q', schema: { type: 'object', description: 'f'.repeat(9_000) } } }],
  ])('are all listed with what a decision needs: %s', (_, count, more) => {
    const waits = many(count, more);
    expect(size(waits)).toBeGreaterThan(MOST);
    const fitting = fittingWaits(waits, MOST);
    expect(size(fitting)).toBeLessThanOrEqual(MOST);
    expect(nonces(fitting)).toEqual(nonces(waits));
    for (const [i, wait] of fitting.entries()) {
      expect(wait).toMatchObject({ path: waits[i]?.path, until: waits[i]?.until, shortened: true });
      expect(wait.call?.digest).toBe(waits[i]?.call?.digest);
    }
  });

  it('lose no more than they must', () => {
    const [small, large] = [waitFor('small'), { ...waitFor('large'), subject: 'd'.repeat(MOST) }];
    const [first, second] = fittingWaits([small, large], MOST);
    expect(first).toBe(small);
    expect(second).toEqual({ ...large, subject: `${'d'.repeat(1_999)}…`, shortened: true });
    const asked = many(200, { subject: 's'.repeat(6_000), question: { message: 'q', schema: { type: 'object' } } });
    expect(fittingWaits(asked, MOST)[0]?.question).toEqual({ message: 'q', schema: { type: 'object' } });
  });

  it('are the first ones where even so not all of them fit', () => {
    const waits = many(10_000, {});
    const fitting = fittingWaits(waits, MOST);
    expect(size(fitting)).toBeLessThanOrEqual(MOST);
    expect(fitting.length).toBeGreaterThan(1_000);
    expect(fitting).toEqual(waits.slice(0, fitting.length));
  });

  it('stay as they are where they fit', () => {
    const waits = many(256, { subject: 'd'.repeat(1_000) });
    expect(fittingWaits(waits, MOST)).toBe(waits);
    expect(fittingWaits([], MOST)).toEqual([]);
  });
});

it('one wait is never left out, and is not cut within an emoji', () => {
  const wait = { ...waitFor('sign-off'), subject: '😀'.repeat(3_000) };
  const short = fittingWait(wait, 6_000);
  expect(short).toMatchObject({ nonce: wait.nonce, shortened: true });
  expect(size(short)).toBeLessThanOrEqual(6_000);
  expect(encodeURIComponent(short.subject)).toContain('%E2%80%A6');
  expect(fittingWait(wait, 10)).toMatchObject({ nonce: wait.nonce });
  expect(fittingWait(waitFor('sign-off'), 6_000)).toEqual(waitFor('sign-off'));
});
