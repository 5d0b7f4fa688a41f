import { describe, expect, it } from 'vitest';
import { type Embedded, embeddedId, type VectorCache } from '../../../../activities/cache/index.js';
import { throughVectors } from '../../../../activities/stage/cached-vectors.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { embedKind } from '../../../../pipelines/stages/embed.js';

/** A cache that keeps vectors in memory, by the names of what they are of. */
function memory() {
  const kept = new Map<string, readonly number[]>();
  const cache = {
    read: async (_: unknown, all: readonly Embedded[]) => all.map((of) => kept.get(embeddedId(of))),
    write: async (_: unknown, entries: readonly (readonly [Embedded, readonly number[]])[]) => {
      for (const [of, vector] of entries) kept.set(embeddedId(of), vector);
    },
  };
  return { kept, cache: cache as unknown as VectorCache };
}

const file = (n: number, mime = 'image/png', more: object = {}): Artifact => {
  const sha256 = String(n).repeat(64);
  return { uri: `artifact://t/${sha256}`, sha256, mime, bytes: 3, ...more };
};

/** Sends what the cache lacks to a model whose vectors are numbered through. */
function opened(cache: VectorCache) {
  const served: JsonObject[] = [];
  let made = 0;
  const embed = (input: object) =>
    throughVectors(
      cache,
      {
        call: { tenant: 't', stage: 'e', kind: 'embed', with: {} } as unknown as StageCall,
        cache: { kind: 'exact', ttlMs: 60_000 },
        kind: embedKind,
        input: input as JsonObject,
        model: 'm',
        signal: new AbortController().signal,
      },
      async (instead) => {
        const sent = instead ?? (input as JsonObject);
        served.push(sent);
        const list = (sent.items ?? sent.texts) as unknown[] | undefined;
        const output = list ? { embeddings: list.map(() => [++made]) } : { embedding: [++made] };
        return { output, endpoint: 'e', device: 'd' };
      },
    );
  return { served, embed };
}

describe('vectors of media', () => {
  it('are cached by content, one by one, each asked for once', async () => {
    const { cache } = memory();
    const { served, embed } = opened(cache);
    const items = [{ image: file(1) }, { text: 'a' }, { image: file(1, 'image/png', { durationMs: 8 }) }];
    expect(await embed({ items })).toMatchObject({ cache: 'miss', output: { embeddings: [[1], [2], [1]] } });
    expect(served[0]?.items).toHaveLength(2);
    const more = [{ image: file(2) }, ...items];
    expect(await embed({ items: more })).toMatchObject({ output: { embeddings: [[3], [1], [2], [1]] } });
    expect(served[1]?.items).toEqual([{ image: file(2) }]);
    expect(await embed({ items })).toMatchObject({ cache: 'hit', endpoint: 'cache' });
  });

  it('serve a single one, and texts of a list of texts', async () => {
    const { cache } = memory();
    const { served, embed } = opened(cache);
    await embed({ items: [{ image: file(1) }, { text: 'a' }] });
    expect((await embed({ image: file(1) })).output).toEqual({ embedding: [1] });
    expect((await embed({ texts: ['a'] })).output).toEqual({ embeddings: [[2]] });
    expect((await embed({ text: 'a' })).output).toEqual({ embedding: [2] });
    expect(served).toHaveLength(1);
  });

  it('are not those of a file of another type, of another kind of medium, or of a text', async () => {
    const { kept, cache } = memory();
    const { embed } = opened(cache);
    const mp4 = file(3, 'video/mp4');
    await embed({ items: [{ image: file(1) }, { image: file(1, 'image/webp') }, { audio: mp4 }, { video: mp4 }] });
    expect(kept.size).toBe(4);
    // Texts keep the names that earlier releases gave them: 32 digits, which no medium has.
    for (const id of kept.keys()) expect(id).toMatch(/^(image|audio|video)-[0-9a-f]{32}$/);
    expect(embeddedId('a')).toMatch(/^[0-9a-f]{32}$/);
  });
});
