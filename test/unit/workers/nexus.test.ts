import { HandlerError } from 'nexus-rpc';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import { argumentsOf, nexusRunId } from '../../../workers/nexus.js';

describe('the id of a run that a Nexus request starts', () => {
  it('has the request’s id where that is a UUID, as Temporal’s are', () => {
    expect(nexusRunId('clean', '4f0c9a52-7a0e-4c39-9d5e-0b5f1f7c2a11')).toBe(
      'clean-4f0c9a52-7a0e-4c39-9d5e-0b5f1f7c2a11',
    );
  });

  it.each(['order 1', 'x-r1', '4F0C9A52-7A0E-4C39-9D5E-0B5F1F7C2A11', ''])('is one of the gateway for %j', (given) => {
    const id = nexusRunId('clean', given);
    expect(id).toMatch(/^clean-[0-9a-f]{32}$/);
    expect(nexusRunId('clean', given)).toBe(id);
    expect(nexusRunId('clean', `${given} `)).not.toBe(id);
  });
});

describe('the input of a Nexus operation', () => {
  it('is the arguments of a run', () => {
    expect(argumentsOf({ input: { a: 1 } })).toEqual([{ a: 1 }]);
    expect(argumentsOf({ input: { a: 1 }, options: { millrace: 1 } })).toEqual([{ a: 1 }, { millrace: 1 }]);
    // The run refuses what is no input of its pipeline.
    expect(argumentsOf({ input: null, options: null })).toEqual([null, null]);
  });

  it.each<[string, Json | undefined, RegExp]>([
    ['nothing', undefined, /^body: /],
    ['a list', [{}], /^body: /],
    ['no input', { options: { millrace: 1 } }, /^input: is required/],
    ['the input alone', { text: 'mill' }, /^text: is no field/],
  ])('is refused for good if it is %s', (_, given, message) => {
    const refusal = (() => {
      try {
        return argumentsOf(given);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(HandlerError);
    expect(refusal).toMatchObject({
      type: 'BAD_REQUEST',
      retryable: false,
      cause: { type: 'INVALID_INPUT', nonRetryable: true, message: expect.stringMatching(message) },
    });
  });
});
