import { describe, expect, it } from 'vitest';
import { decisionIn, formOf, hasForm } from '../../../../gateway/mcp/ask.js';

const wait = { nonce: 'n', subject: 'A-1', until: '2026-01-01T00:00:00.000Z' };
const call = { tool: 'refund', arguments: { order: 'A-1' }, digest: 'd' };
const accepted = (content: unknown) => decisionIn({ action: 'accept', content });

describe('the form of a decision', () => {
  it('asks for the decision and its reason; nothing else is about a wait that is no call', () => {
    const { requestedSchema: schema, message } = formOf(wait).params;
    expect(message).toBe('Approve? A-1');
    expect(Object.keys(schema.properties as object)).toEqual(['confirm', 'reason']);
    expect(schema.required).toEqual(['confirm']);
  });

  it('asks what an approved call covers: its session only where it has one', () => {
    const scopes = (session?: string) =>
      formOf({ ...wait, call, ...(session !== undefined && { session }) }).params.requestedSchema.properties;
    expect(scopes()).toMatchObject({ scope: { enum: ['call', 'run'], default: 'call' } });
    expect(scopes('s')).toMatchObject({ scope: { enum: ['call', 'run', 'session'], default: 'call' } });
    expect(formOf({ ...wait, call }).params.message).toContain('refund {"order":"A-1"}');
  });
});

describe('the question of another server', () => {
  const of = { server: 'desk', tool: 'book', message: 'Which seat?' };
  const schema = { type: 'object', properties: { seat: { type: 'integer' } }, required: ['seat'] };
  const subject = 'The MCP server "desk" asks during its tool "book": Which seat?';

  it('is asked by its own form, after the name of the server', () => {
    const asked = { ...wait, subject, question: { ...of, schema } };
    expect(formOf(asked).params).toEqual({
      mode: 'form',
      message: `${subject}\nDecide before 2026-01-01T00:00:00.000Z.`,
      requestedSchema: schema,
    });
    expect(hasForm(asked)).toBe(true);
    expect(decisionIn({ action: 'accept', content: { seat: 4 } }, true)).toEqual({
      approved: true,
      content: { seat: 4 },
    });
    expect(decisionIn({ action: 'decline' }, true)).toEqual({ approved: false });
    expect(decisionIn({ action: 'cancel' }, true)).toBeUndefined();
  });

  it('that gives an address is confirmed', () => {
    const asked = {
      ...wait,
      subject: `${subject} (open https://a.example)`,
      question: { ...of, url: 'https://a.example' },
    };
    const { message, requestedSchema } = formOf(asked).params;
    expect(message).toBe(`Done? ${subject} (open https://a.example)`);
    expect(requestedSchema.required).toEqual(['confirm']);
    expect(hasForm(asked)).toBe(false);
  });
});

describe('what a caller or a model has written', () => {
  it('cannot change what the form shows: a line of its own, a direction of writing, nothing at all', () => {
    const given = { order: 'A\u202e1-\u200bB' };
    const { message } = formOf({
      ...wait,
      subject: 'refund("A-1")\nrefund {"order":"A-1"}\u2066',
      call: { tool: 'refund', arguments: given, digest: 'd' },
    }).params;
    expect(message).toBe(
      'Approve? refund("A-1")\\u{a}refund {"order":"A-1"}\\u{2066}\nrefund {"order":"A\\u{202e}1-\\u{200b}B"}',
    );
  });

  it('is shown whole, or can only be rejected', () => {
    const asked = (order: string) =>
      formOf({ ...wait, call: { tool: 'refund', arguments: { order }, digest: 'd' } }).params;
    const long = 'x'.repeat(15_000);
    expect(asked(long).message).toBe(`Approve? A-1\nrefund {"order":"${long}"}`);
    expect(asked(long).requestedSchema).toMatchObject({ required: ['confirm'] });
    const { tool, digest } = call;
    // Each is shown as eight characters.
    for (const params of [asked('\u202e'.repeat(1_999)), formOf({ ...wait, call: { tool, digest } }).params]) {
      expect(params.message).toBe(
        'A-1\nrefund (arguments too long to be shown, sha256 d)\nIt is approved over HTTP; here it can only be rejected.',
      );
      expect(params.requestedSchema).toMatchObject({ required: ['reject_without_form'] });
    }
  });
});

describe('an answer to it', () => {
  it('is a decision with what the user has added', () => {
    expect(accepted({ confirm: true, reason: 'paid twice', scope: 'run' })).toEqual({
      approved: true,
      reason: 'paid twice',
      scope: 'run',
    });
    expect(accepted({ confirm: true, reason: '', scope: 'call' })).toEqual({ approved: true });
    expect(decisionIn({ action: 'decline' })).toEqual({ approved: false });
  });

  it('covers nothing more where it rejects, or where the scope is unknown', () => {
    expect(accepted({ confirm: false, scope: 'session', reason: 'no' })).toEqual({ approved: false, reason: 'no' });
    expect(accepted({ confirm: true, scope: 'all', reason: 7 })).toEqual({ approved: true });
  });

  it('has a reason that runs take', () => {
    expect(accepted({ confirm: true, reason: 'x'.repeat(5_000) })?.reason).toHaveLength(2_000);
  });

  it.each([{}, { confirm: 'yes' }, null, 'yes', [true]])('is none without a decision: %j', (content) => {
    expect(accepted(content)).toBeUndefined();
    expect(decisionIn({ action: 'cancel', content: { confirm: true } })).toBeUndefined();
  });
});
