import { describe, expect, test } from 'vitest';
import { responseEvents, type Streaming } from '../../../../gateway/openai/responses-stream.js';
import { ResponseWriter } from '../../../../gateway/openai/responses-writer.js';

const of = {
  run: 'chat-1',
  createdAt: '2026-01-01T00:00:00.000Z',
  model: { pipeline: { name: 'chat' } },
  echo: {},
} as unknown as Streaming['of'];
const failure = { error: { code: 'BACKEND_ERROR', message: 'gone', type: 'server_error', param: null } } as const;

/** A response that fails after these pieces, as it is sent once its stream is open. */
async function typesOf(pieces: readonly { readonly text: string }[], deferred: boolean) {
  const writer = new ResponseWriter(of);
  async function* failing() {
    yield* pieces;
    throw new Error('gone');
  }
  const types: [string, number][] = [];
  try {
    for await (const { type, sequence_number: number } of responseEvents({ writer, of, deferred }, failing()))
      types.push([type, number]);
  } catch {
    for (const { type, sequence_number: number } of writer.failed(failure)) types.push([type, number]);
  }
  return types;
}

describe('a streamed response that fails', () => {
  const whole = [
    ['response.created', 0],
    ['response.in_progress', 1],
    ['response.failed', 2],
  ];

  test('before anything was written names itself first, as when its events are read later', async () => {
    expect(await typesOf([], true)).toEqual(whole);
    expect(await typesOf([], false)).toEqual(whole);
  });

  test('names itself once', async () => {
    const types = (await typesOf([{ text: 'So' }], true)).map(([type]) => type);
    expect(types.filter((type) => type === 'response.created')).toHaveLength(1);
    expect([types[0], types.at(-1)]).toEqual(['response.created', 'response.failed']);
  });
});
