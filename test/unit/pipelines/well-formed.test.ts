import { describe, expect, it } from 'vitest';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { wellFormed, wellFormedError } from '../../../pipelines/well-formed.js';

const HALF = '🙂'.slice(0, 1);

describe('a text', () => {
  it.each(['', 'plain', 'é', '🙂', '👩‍👩‍👧', '\u0000\ufffd'])('that has UTF-8 stays as it is: %j', (text) => {
    expect(wellFormed(text)).toBe(text);
  });

  it.each([
    [`a${HALF}`, 'a\ufffd'],
    [`${'🙂'.slice(1)}b`, '\ufffdb'],
    [`${HALF}🙂${HALF}${HALF}`, '\ufffd🙂\ufffd\ufffd'],
  ])('has no half of a character: %j', (text, whole) => {
    expect(wellFormed(text)).toBe(whole);
    expect(Buffer.from(text)).toEqual(Buffer.from(whole));
  });
});

describe('an error', () => {
  it('is the same where its texts have UTF-8', () => {
    const error = new Error('🙂', { cause: new Error('why') });
    expect(wellFormedError(error)).toBe(error);
  });

  it('is a copy where a text of it, or of a cause, has none', () => {
    const error = new Error('what', { cause: new Error('why', { cause: new Error(`deep ${HALF}`) }) });
    const copy = wellFormedError(error);
    expect(copy.message).toBe('what');
    const deepest = (copy.cause as Error).cause as Error;
    expect(deepest.message).toBe('deep \ufffd');
    expect(deepest.stack).not.toMatch(/\p{Cs}/u);
    expect(wellFormedError(new Error('what', { cause: HALF })).cause).toBe('\ufffd');
  });

  it('with causes in a circle has an end', () => {
    const error = new Error(HALF);
    error.cause = error;
    expect(wellFormedError(error).message).toBe('\ufffd');
  });

  it('of Millrace has a message in UTF-8', () => {
    expect(new MillraceError('CODE_FAILED', `no ${HALF}`).message).toBe('no \ufffd');
    expect(new StageError('CODE_FAILED', `no ${HALF}`).message).toBe('no \ufffd');
    expect(messageOf(new Error(HALF))).toBe('\ufffd');
    expect(messageOf(HALF)).toBe('\ufffd');
  });

  it.each([undefined, null, 3, { detail: 'what' }])('keeps its code where its message is no text: %j', (message) => {
    const error = new MillraceError('INVALID_INPUT', message as unknown as string);
    expect([error.code, typeof error.message]).toEqual(['INVALID_INPUT', 'string']);
    expect(typeof messageOf(Object.assign(new Error(), { message }))).toBe('string');
  });
});
