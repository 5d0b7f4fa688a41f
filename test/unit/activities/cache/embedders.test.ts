import { describe, expect, it } from 'vitest';
import { type EmbedCaller, embedderOf } from '../../../../activities/cache/index.js';
import { indexKinds, PassageIndex } from '../../../../activities/vector-index/index.js';
import { model, never, openCache, request } from '../../../support/caches.js';
import { scripted } from '../../../support/scripted.js';
import { fakePools, openCall } from '../pools/fakes.js';

const LIMIT = { perSecond: 1_000, perTenant: { perSecond: 0.1, burst: 1 } };

function embedder(more: Parameters<typeof fakePools>[1] = {}) {
  const { pools, pool, backend } = fakePools(['a'], more);
  Object.assign(backend('a'), { invoke: async () => ({ output: { embedding: [1, 0] } }) });
  return { pool, embed: embedderOf(pools, 'm') };
}

describe('an embedding', () => {
  it('counts against the rate limit of the tenant that it is made for', async () => {
    const { embed } = embedder({ rateLimit: LIMIT });
    expect(await embed.embed('x', never(), { tenant: 'acme' })).toEqual(new Float32Array([1, 0]));
    await expect(embed.embed('x', never(), { tenant: 'acme' })).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(await embed.embed('x', never(), { tenant: 'umbrella' })).toHaveLength(2);
  });

  it('waits no longer for a place than its caller does, and in its caller’s class', async () => {
    const { pool, embed } = embedder({ concurrency: 1 });
    const open = openCall();
    const running = pool.use(open.work, { signal: never() });
    await expect(embed.embed('x', never(), { tenant: 'acme', queueMs: 10 })).rejects.toMatchObject({
      code: 'QUEUE_TIMEOUT',
    });
    const served: string[] = [];
    const waiting = (['batch', 'interactive'] as const).map(async (priority) => {
      await embed.embed('x', never(), { tenant: 'acme', priority });
      served.push(priority);
    });
    open.end();
    await Promise.all([running, ...waiting]);
    expect(served).toEqual(['interactive', 'batch']);
  });
});

describe('who an embedding is for', () => {
  /** An embedder that notes its callers and then fails: where it would be used next does not matter here. */
  function recorder() {
    const callers: EmbedCaller[] = [];
    const embedder = {
      fingerprint: async () => 'f',
      embed: async (_: string, __: AbortSignal, { tenant, priority, queueMs }: EmbedCaller) => {
        callers.push({ tenant, priority, queueMs });
        throw new Error('seen');
      },
    };
    return { callers, embedder };
  }
  const acme = { tenant: 'acme', priority: 'batch' } as const;

  it('is told by the semantic cache', async () => {
    const { callers, embedder } = recorder();
    // A Redis with one text beside the one that is looked up, so that the lookup needs a vector.
    const redis = {
      on: () => redis,
      info: async () => 'redis_version:8.2.3',
      call: async (command: string) => (command === 'VCARD' ? 1 : []),
      ...scripted(async () => 1),
      mget: async () => [],
    };
    const { cache } = openCache(redis as never, embedder);
    await cache.through({ ...request('x'), ...acme, queueMs: 500 }, model('Paris').ask, never());
    expect(callers).toEqual([{ ...acme, queueMs: 500 }]);
  });

  it('is told by the vector index', async () => {
    const { callers, embedder } = recorder();
    const meta = async () => ['m', 'f', '2'];
    const index = new PassageIndex({
      redis: { on: () => undefined, hmget: meta } as never,
      embedderFor: () => embedder,
    });
    const kinds = indexKinds(index);
    const context = { signal: never(), audio: {} as never, idempotencyKey: 'k' };
    const retrieve = { ...acme, model: 'docs', with: { k: 1, embedder: 'm' }, input: { query: 'x' } };
    await expect(kinds.get('retrieve')?.(retrieve, context)).rejects.toThrow('seen');
    const passages = [{ id: '1', text: 'x' }];
    const upsert = { ...acme, model: 'docs', with: { embedder: 'm' }, input: { passages } };
    await expect(kinds.get('upsert')?.(upsert, context)).rejects.toThrow('seen');
    expect(callers).toEqual([acme, acme].map((caller) => ({ ...caller, queueMs: undefined })));
  });
});
