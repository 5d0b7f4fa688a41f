import { describe, expect, it } from 'vitest';
import type { StageCall } from '../../../pipelines/run/index.js';
import { AROUND_BYTES, callBytes, planBytes } from '../../../workflows/command-bytes.js';

const options = { system: 'Answer in one short sentence.' };
const call = { stage: 'answer', model: 'assistant', with: options } as unknown as StageCall;

describe('the size of a command', () => {
  it('is that of what the history has: whatever else a release puts into a call makes no difference', () => {
    const bytes = callBytes(500, options, call);
    expect(bytes).toBe(500 + JSON.stringify(options).length + AROUND_BYTES);
    const tools = [{ description: 'As a later release words it.' }];
    const later = { ...call, with: { ...options, tools }, trace: 'x'.repeat(60), fieldOfALaterRelease: 'x'.repeat(30) };
    expect(callBytes(500, options, later)).toBe(bytes);
  });

  it('has what the call repeats: the key of a semantic cache, and what an agent has said', () => {
    const bytes = callBytes(500, options, call);
    const cache = { kind: 'semantic', key: 'why', context: null } as unknown as NonNullable<StageCall['cache']>;
    expect(callBytes(500, options, { ...call, cache }) - bytes).toBe(500);
    expect(callBytes(500, options, { ...call, turn: { path: 'desk', said: 'é' } }) - bytes).toBe(4);
  });

  it('counts a part of the plan once', () => {
    let counted = 0;
    const part = { toJSON: () => ++counted };
    expect([planBytes(part), planBytes(part), counted]).toEqual([1, 1, 1]);
  });
});
