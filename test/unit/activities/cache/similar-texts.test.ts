import { describe, expect, it } from 'vitest';
import { keysOf } from '../../../../activities/cache/cache-key.js';
import type { Entries } from '../../../../activities/cache/entries.js';
import { SimilarTexts } from '../../../../activities/cache/similar-texts.js';
import type { VectorSets } from '../../../../stores/redis/index.js';
import { never, request } from '../../../support/caches.js';

/** A text on which every comparison fails. */
const BROKEN = {
  get length(): number {
    throw new TypeError('broken');
  },
} as unknown as string;

/** Stored texts that are near every other one, nearest first, and what could not be compared. */
function near(texts: readonly string[]) {
  const vectors = {
    available: async () => true,
    search: async () => texts.map((_, i) => ({ id: String(i), similarity: 0.9 })),
    remove: async () => undefined,
  };
  const entries = { read: async () => texts.map((text) => ({ text, output: { text: 'A' } })) };
  const failed: unknown[] = [];
  const onFailure = (_: unknown, error: unknown) => void failed.push(error);
  const stores = [vectors as unknown as VectorSets, entries as unknown as Entries] as const;
  return { similar: new SimilarTexts(...stores, undefined, onFailure), failed };
}

describe('similar texts', () => {
  it('are found behind a text that cannot be compared', async () => {
    const { similar, failed } = near([BROKEN, 'What is the capital of France?']);
    const asked = request("What's the capital of France?");
    const vector = async () => Float32Array.of(1, 0);
    const found = await similar.find(keysOf(asked, 'f'), asked, vector, never(), () => true);
    expect(found).toMatchObject({ id: '1', tier: 'guard' });
    expect(failed).toHaveLength(1);
  });
});
