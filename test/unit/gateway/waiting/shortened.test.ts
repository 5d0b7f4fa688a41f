import { expect, it } from 'vitest';
import { asks } from '../../../../gateway/a2a/task.js';
import { interruptOf } from '../../../../gateway/agui/interrupt.js';
import { decisionIn, formOf, hasForm } from '../../../../gateway/mcp/ask.js';
import { fittingWait, fittingWaits, type Wait } from '../../../../pipelines/run/index.js';
import { waitFor } from '../../../support/waits.js';

const many = (more: Partial<Wait>): readonly Wait[] => {
  const waits = Array.from({ length: 200 }, (_, i) => ({ ...waitFor(`votes[${i}]/vote`), ...more }));
  return fittingWaits(waits, 1_000_000);
};
const needs = (waits: readonly Wait[]) => ({ run: 'votes-1', after: '5-0', waits });

it('every door says that a wait is shortened', () => {
  const waits = many({ subject: 'd'.repeat(9_000) });
  const { message } = asks({ run: 'votes-1', context: 'c' }, waits);
  const note = expect.stringContaining('…\nShortened: ');
  expect(message?.parts).toHaveLength(400);
  for (const [i, wait] of waits.entries()) {
    expect(message?.parts[2 * i]).toMatchObject({ text: note });
    expect(message?.parts[2 * i + 1]).toMatchObject({ data: { nonce: wait.nonce, shortened: true } });
    expect(interruptOf(needs(waits), wait)).toMatchObject({ message: note, metadata: { shortened: true } });
    expect(formOf(wait).params).toMatchObject({ message: note });
  }
});

it('one whose form is left out is a question still, and no door offers to approve it', () => {
  const seat = { type: 'integer', description: 'f'.repeat(9_000) };
  const schema = { type: 'object', properties: { seat }, required: ['seat'] };
  const waits = many({ question: { message: 'Which seat?', schema } });
  const [wait] = waits as [Wait];
  expect(wait).toMatchObject({ question: { message: 'Which seat?' }, shortened: true });
  expect(wait.question).not.toHaveProperty('schema');
  expect(interruptOf(needs(waits), wait)).toMatchObject({
    reason: 'question',
    responseSchema: { properties: { approved: { const: false } } },
  });
  expect(formOf(wait).params.requestedSchema).toMatchObject({ required: ['reject_without_form'] });
  expect(hasForm(wait)).toBe(false);
  const decided = (reject: boolean, isContent: boolean) =>
    decisionIn({ action: 'accept', content: { reject_without_form: reject } }, isContent);
  expect(decided(true, false)).toEqual({ approved: false });
  expect(decided(false, false)).toBeUndefined();
  // The form may be back by then.
  expect(decided(true, true)).toEqual({ approved: false });
  expect(decided(false, true)).toBeUndefined();
});

it('the address of a question is always there', () => {
  const question = { message: 'm'.repeat(4_000), url: 'https://a.example' };
  const wait = fittingWait({ ...waitFor('vote'), question }, 10);
  expect(wait.question).toEqual({ message: `${'m'.repeat(199)}…`, url: 'https://a.example' });
  expect(formOf(wait).params.requestedSchema).toMatchObject({ required: ['confirm'] });
});
