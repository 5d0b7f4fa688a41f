import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Embedder, withVectorCache } from '../../activities/cache/index.js';
import type { Pools } from '../../activities/pools/index.js';
import { throughCache } from '../../activities/stage/cached-stage.js';
import type { Attempt } from '../../activities/stage/serving.js';
import type { WorkerContext } from '../../activities/stage/worker-kind.js';
import { indexKinds, PassageIndex } from '../../activities/vector-index/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ExactCacheCall, StageCall } from '../../pipelines/run/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { openCache, recordingLogger, request, type TestCache } from '../support/caches.js';
import { openEmbedder } from '../support/embedder.js';
import { address } from '../support/runs.js';

const attempt: Attempt = {
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
};

let redis: Redis;
let index: Redis;
let passages: PassageIndex;
let embedder: Embedder & { close(): void };
let test: TestCache;

beforeAll(async () => {
  const { logger } = recordingLogger();
  redis = createRedis({ url: address('REDIS_CACHE_URL'), timeoutMs: 10_000, logger });
  expect(await connected(redis, 30_000)).toBe(true);
  index = createRedis({ url: address('REDIS_INDEX_URL'), timeoutMs: 10_000, logger });
  expect(await connected(index, 30_000)).toBe(true);
  embedder = openEmbedder();
  passages = new PassageIndex({ redis: index, embedderFor: () => embedder });
  test = openCache(redis, embedder);
});
afterAll(() => {
  redis.disconnect();
  index.disconnect();
  embedder.close();
});

const pools = { get: () => ({ answersAs: async () => 'weights-1' }) } as unknown as Pools;
const media = {
  hasArtifact: async () => true,
  indexVersion: (tenant: string, name: string) => passages.version({ tenant, index: name }),
};
const tenant = () => `t-${randomUUID()}`;

const call = (own: string, more: Partial<StageCall>): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant: own,
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
  ...more,
});

const semantic = (key: string, context: JsonObject = {}) =>
  ({ kind: 'semantic', ttlMs: 60_000, minSimilarity: 0.7, embedder: 'minilm', key, context }) as const;

/** Asks through the cache; `make` is the call. */
function ask(stage: StageCall, input: JsonObject, make: () => Promise<JsonObject>) {
  const { logger } = recordingLogger();
  const parts = { ...test, pools, code: new Map<string, CodeStage>(), logger, ...media };
  return throughCache(parts, input, stage, attempt, async () => ({
    output: await make(),
    endpoint: 'e',
    device: 'd',
  }));
}

describe('an embedding cache on real Redis', () => {
  it('sends the model only the texts that no pipeline of the tenant has sent, in their order', async () => {
    const own = tenant();
    const sent: JsonObject[] = [];
    const vectorOf = (text: string) => [text.length / 10, 1 / 3];
    const embedding = (given: JsonObject, pipeline: string, cache: Partial<ExactCacheCall> = {}) => {
      const parts = {
        ...test,
        pools,
        code: new Map<string, CodeStage>(),
        logger: recordingLogger().logger,
        ...media,
      };
      const stage = call(own, { kind: 'embed', pipeline, cache: { kind: 'exact', ttlMs: 60_000, ...cache } });
      return throughCache(parts, given, stage, attempt, async (input = given) => {
        sent.push(input);
        const texts = input.texts as string[] | undefined;
        const output: JsonObject = texts
          ? { embeddings: texts.map(vectorOf) }
          : { embedding: vectorOf(input.text as string) };
        return { output, endpoint: 'e', device: 'd' };
      });
    };
    expect(await embedding({ texts: ['one', 'three', 'one'] }, 'p')).toMatchObject({ cache: 'miss' });
    expect(sent.pop()).toEqual({ texts: ['one', 'three'] });
    const more = await embedding({ texts: ['three', 'seven', 'one', 'three'] }, 'q');
    expect(sent.pop()).toEqual({ texts: ['seven'] });
    expect(more.output.embeddings).toEqual(['three', 'seven', 'one', 'three'].map(vectorOf));
    expect(await embedding({ text: 'seven' }, 'r')).toMatchObject({
      cache: 'hit',
      output: { embedding: vectorOf('seven') },
    });
    expect(sent).toEqual([]);
    for (const other of [{ principal: 'r/eve' }, { untilMidnight: 'Europe/Berlin' }, { version: '2' }])
      expect(await embedding({ text: 'seven' }, 'r', other)).toMatchObject({ cache: 'miss' });
    await expect(embedding({ text: 'new' }, 'r', { only: true })).rejects.toMatchObject({ code: 'NOT_CACHED' });
    // What is no input of the kind is left to the call, which refuses it.
    const given = { texts: ['one', 3] };
    expect(await embedding(given, 'r')).toMatchObject({ cache: 'bypass' });
    expect(sent.pop()).toEqual(given);
    const { values } = await test.metrics.cacheHits.get();
    expect(values).toContainEqual({ labels: { pipeline: 'r', stage: 'answer', tier: 'exact' }, value: 1 });
  });

  it('keeps what Millrace itself embeds', async () => {
    const own = tenant();
    let calls = 0;
    const counted = withVectorCache(
      {
        fingerprint: async () => 'w',
        embed: async () => {
          calls += 1;
          return Float32Array.of(0.1, 0.2);
        },
      },
      test.vectors,
    );
    for (let i = 0; i < 2; i += 1)
      expect(await counted.embed('a question', attempt.signal, { tenant: own })).toEqual(Float32Array.of(0.1, 0.2));
    expect(calls).toBe(1);
    await counted.embed('a question', attempt.signal, { tenant: tenant() });
    expect(calls).toBe(2);
  });

  it('charges what Millrace itself embeds for a caller to that caller: texts of lookups, indexes and searches', async () => {
    const own = tenant();
    const large = { fingerprint: async () => 'w', embed: async () => new Float32Array(25_000).fill(1) };
    const { vectors } = openCache(redis, embedder, {}, undefined, { principalBytesPerHour: 250_000 });
    const kept = async (text: string) =>
      (await vectors.read({ tenant: own, model: 'w', ttlMs: 86_400_000 }, [text]))?.[0] !== undefined;
    const cached = withVectorCache(large, vectors);
    const { cache } = openCache(redis, cached);
    const asked = request('Who wrote Hamlet?', { tenant: own, insertedBy: 'mallory' });
    await cache.through(asked, async () => ({ text: 'Shakespeare' }), attempt.signal);
    const kinds = indexKinds(new PassageIndex({ redis: index, embedderFor: () => cached }));
    const as = (insertedBy: string) => ({ model: 'docs', tenant: own, insertedBy });
    const put = { passages: [{ id: 'a', text: 'A passage.' }] };
    const context = { signal: attempt.signal } as WorkerContext;
    await kinds.get('upsert')?.({ ...as('mallory'), with: { embedder: 'minilm' }, input: put }, context);
    for (const [caller, query] of [
      ['mallory', 'Mallory?'],
      ['alice', 'Alice?'],
    ] as const) {
      const search = { ...as(caller), with: { embedder: 'minilm', k: 1 }, input: { query } };
      expect(await kinds.get('retrieve')?.(search, context)).toMatchObject({ passages: [{ id: 'a' }] });
    }
    expect([await kept('Who wrote Hamlet?'), await kept('A passage.')]).toEqual([true, true]);
    expect([await kept('Mallory?'), await kept('Alice?')]).toEqual([false, true]);
  });
});

const QUESTION = 'How long do I have to return something?';

describe('what is found in an index', () => {
  const ingest = (own: string, id: string, text: string) =>
    passages.upsert({ tenant: own, index: 'docs', embedder: 'minilm', passages: [{ id, text }] }, attempt.signal);

  it.each([
    ['exact', (own: string) => call(own, { cache: { kind: 'exact', ttlMs: 60_000 } })],
    ['semantic', (own: string) => call(own, { cache: semantic(QUESTION) })],
  ] as const)('is not served from before a document was ingested again (%s)', async (_, stageOf) => {
    const own = tenant();
    const stage = { ...stageOf(own), kind: 'retrieve', model: 'docs' };
    const found = (text: string) => ({ passages: [{ id: 'doc#1', text, score: 1 }] });
    const search = (text: string) => ask(stage, { query: QUESTION }, async () => found(text));
    await ingest(own, 'doc#1', 'old');
    expect(await search('old')).toMatchObject({ cache: 'miss' });
    expect(await search('unused')).toMatchObject({ cache: 'hit', output: found('old') });
    // As long as the text before: the index is no larger.
    await ingest(own, 'doc#1', 'new');
    expect(await search('new')).toMatchObject({ cache: 'miss' });
    expect(await search('unused')).toMatchObject({ cache: 'hit', output: found('new') });
    // Nothing has changed.
    await ingest(own, 'doc#1', 'new');
    expect(await search('unused')).toMatchObject({ cache: 'hit', output: found('new') });
  });

  it('is not served from before its store has lost the index, however alike the new one is', async () => {
    const own = tenant();
    const stage = call(own, { kind: 'retrieve', model: 'docs', cache: { kind: 'exact', ttlMs: 60_000 } });
    const found = (text: string) => ({ passages: [{ id: 'doc#1', text, score: 1 }] });
    const search = (text: string) => ask(stage, { query: QUESTION }, async () => found(text));
    await ingest(own, 'doc#1', 'old');
    expect(await search('old')).toMatchObject({ cache: 'miss' });
    await index.del(...(await index.keys(`millrace:index:{${own}}:*`)));
    await ingest(own, 'doc#1', 'new');
    expect(await search('new')).toMatchObject({ cache: 'miss', output: found('new') });
  });

  it('ends answers that were made from it when it changes, and no others', async () => {
    const own = tenant();
    /** Searches, and answers from what was found: the outcomes of both caches, and the answer. */
    const answered = async (question: string) => {
      const search = call(own, {
        stage: 'find',
        kind: 'retrieve',
        model: 'docs',
        cache: { kind: 'exact', ttlMs: 60_000 },
      });
      const found = await ask(search, { query: question }, async () => ({
        passages: (await passages.search(
          { tenant: own, index: 'docs', embedder: 'minilm', query: question, k: 1 },
          attempt.signal,
        )) as unknown as JsonObject[],
      }));
      const texts = (found.output.passages as { text: string }[]).map(({ text }) => text);
      const stage = call(own, { cache: semantic(question, { passages: texts }) });
      const answer = await ask(stage, {}, async () => ({ text: `Answer: ${texts.join()}` }));
      return [found.cache, answer.cache, answer.output.text];
    };
    const thirty = 'Articles can be returned within 30 days.';
    const forty = 'Articles can be returned within 40 days.';
    await ingest(own, 'returns#1', thirty);
    await ingest(own, 'hours#1', 'The shop opens at nine.');
    expect(await answered(QUESTION)).toEqual(['miss', 'miss', `Answer: ${thirty}`]);
    expect(await answered(QUESTION)).toEqual(['hit', 'hit', `Answer: ${thirty}`]);
    // Another document: the search is made again, since it could be nearer; what is found is the same, and so is the answer.
    await ingest(own, 'hours#1', 'The shop opens at ten.');
    expect(await answered(QUESTION)).toEqual(['miss', 'hit', `Answer: ${thirty}`]);
    await ingest(own, 'returns#1', forty);
    expect(await answered(QUESTION)).toEqual(['miss', 'miss', `Answer: ${forty}`]);
    expect(await answered(`${QUESTION} Thanks!`)).toEqual(['miss', 'hit', `Answer: ${forty}`]);
  });
});
