import { describe, expect, it } from 'vitest';
import { interruptOf, resumptionOf } from '../../../../gateway/agui/interrupt.js';
import type { RunInput } from '../../../../gateway/agui/run-input.js';

const resume = (payload: unknown, status = 'resolved') =>
  resumptionOf({ resume: [{ interruptId: 'order-1:5-0:n1', status, payload }] } as unknown as RunInput);

describe('an answer to an interrupt', () => {
  it('is the decision with what an approval may carry', () => {
    const given = { approved: true, by: 'ada', reason: 'paid', arguments: { order: 'B-2' }, scope: 'session' };
    expect(resume(given)).toEqual({ run: 'order-1', after: '5-0', answers: [{ ...given, nonce: 'n1' }] });
    expect(resume({ approved: false, reason: 'no' })?.answers).toEqual([
      { nonce: 'n1', approved: false, reason: 'no' },
    ]);
    const answer = { approved: true, content: { seat: 4 } };
    expect(resume(answer)?.answers).toEqual([{ ...answer, nonce: 'n1' }]);
    expect(resume(undefined, 'cancelled')?.answers).toEqual([{ nonce: 'n1', approved: false }]);
  });

  it.each([
    ['no decision', {}, 'resume.0.payload.approved'],
    ['an unknown field', { approved: true, x: 1 }, 'resume.0.payload.x'],
    ['a scope of a rejection', { approved: false, scope: 'run' }, 'resume.0.payload.scope'],
    ['a scope that is none', { approved: true, scope: 'ever' }, 'resume.0.payload.scope'],
  ])('is refused with %s', (_, payload, field) => {
    expect(() => resume(payload)).toThrow(
      expect.objectContaining({ details: { fields: [expect.objectContaining({ field })] } }),
    );
  });

  it('decides the wait of the interrupt, whatever nonce it names', () => {
    expect(resume({ approved: true, nonce: 'other' })?.answers).toEqual([{ nonce: 'n1', approved: true }]);
  });
});

describe('an interrupt', () => {
  it('of a question has the other server’s form for the answer', () => {
    const schema = { type: 'object', properties: { seat: { type: 'integer' } } };
    const question = { server: 'desk', tool: 'book', message: 'Which seat?', schema };
    const wait = { nonce: 'n1', subject: 'Which seat?', question, until: '2026-01-01T00:00:00.000Z' };
    expect(interruptOf({ run: 'order-1', after: '5-0', waits: [wait] }, wait)).toMatchObject({
      reason: 'question',
      responseSchema: { properties: { approved: { type: 'boolean' }, content: schema }, required: ['approved'] },
      metadata: { question },
    });
  });

  it('shows its subject without characters that change how it looks, and has the arguments as they are', () => {
    const call = { tool: 'refund', arguments: { order: 'A\u202e1' }, digest: 'd' };
    const wait = { nonce: 'n1', subject: 'refund("A\u202e1")\n', call, until: '2026-01-01T00:00:00.000Z' };
    expect(interruptOf({ run: 'order-1', after: '5-0', waits: [wait] }, wait)).toMatchObject({
      message: 'refund("A\\u{202e}1")\\u{a}',
      metadata: { tool: 'refund', arguments: { order: 'A\u202e1' }, digest: 'd' },
    });
  });
});
