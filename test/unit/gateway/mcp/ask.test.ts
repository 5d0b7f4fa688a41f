import { describe, expect, it } from 'vitest';
import { decisionIn, formOf } from '../../../../gateway/mcp/ask.js';

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
