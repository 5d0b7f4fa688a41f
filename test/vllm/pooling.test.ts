import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Call, CallContext, PoolOptions, Reply } from '../../activities/connectors/connector.js';
import { noAudio } from '../../activities/connectors/contract/index.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { API_KEY, startVllm } from '../support/vllm.js';
import { fromSetup } from './from-setup.js';
import { counter } from './metrics.js';

/*
 * A second vLLM, which makes an embedder of the same weights (`--runner pooling`): embeddings in all forms, and scores by the
 * distance of vectors. What they mean is not tested: the model was not trained for it.
 */

const START_MS = 600_000;
let server: Awaited<ReturnType<typeof startVllm>>;

beforeAll(async () => {
  server = await startVllm('embed', fromSetup('MODEL'), ['--scheduling-policy', 'priority', '--enable-prefix-caching']);
}, START_MS);
afterAll(() => server?.stop());

const connect = (pool: PoolOptions = {}): Backend => openAiConnector().connect(server.endpoint, API_KEY, pool);

function ask(
  call: Pick<Call, 'kind' | 'input'> & { readonly with?: JsonObject },
  pool: PoolOptions = {},
  context: Partial<CallContext> = {},
): Promise<Reply> {
  return connect(pool).invoke(
    { model: 'assistant', with: {}, ...call },
    {
      signal: AbortSignal.timeout(120_000),
      audio: noAudio,
      checkpoint: () => undefined,
      emit: () => undefined,
      ...context,
    },
  );
}
const embed = (input: JsonObject, pool?: PoolOptions, context?: Partial<CallContext>) =>
  ask({ kind: 'embed', input }, pool, context);
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
const vectorsOf = ({ output }: Reply) => output.embeddings as readonly (readonly number[])[];
const vectorOf = ({ output }: Reply) => output.embedding as readonly number[];

const TEXTS = ['A mill turns.', 'How do I bake bread?', 'The river is wide.'];

describe('embeddings at vLLM', () => {
  it('of a list are those of its texts, in their order, whatever the size of a request', async () => {
    const all = vectorsOf(await embed({ texts: TEXTS }));
    const pairs = vectorsOf(await embed({ texts: TEXTS }, { batch: 2 }));
    for (const [i, text] of TEXTS.entries()) {
      const alone = vectorOf(await embed({ text }));
      expect(Math.hypot(...alone)).toBeCloseTo(1, 5);
      for (const vectors of [all, pairs]) expect(dot(alone, vectors[i] ?? [])).toBeGreaterThan(0.995);
    }
    expect(dot(all[0] ?? [], all[1] ?? [])).toBeLessThan(0.99);
  });

  it('of tokens are those of their text', async () => {
    const { tokens } = (await (
      await fetch(new URL('/tokenize', server.endpoint), {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
        body: JSON.stringify({ model: 'assistant', prompt: TEXTS[0] }),
      })
    ).json()) as { tokens: number[] };
    const [byTokens = []] = vectorsOf(await embed({ tokens: [tokens] }));
    expect(dot(byTokens, vectorOf(await embed({ text: TEXTS[0] ?? '' })))).toBeGreaterThan(0.995);
  });

  it('of conversations are others, and what belongs around an item changes them', async () => {
    const text = TEXTS[0] ?? '';
    const forms: PoolOptions[] = [
      {},
      { embedBy: 'messages' },
      { embedBy: 'messages', conversation: { system: 'Represent the sentence.' } },
      { embedBy: 'messages', conversation: { system: 'Represent the sentence.', open: true } },
    ];
    const replies = await Promise.all(forms.map((pool) => embed({ text }, pool)));
    const used = replies.map(({ usage }) => usage?.inputTokens ?? 0);
    expect(new Set(used).size).toBe(forms.length);
    const vectors = replies.map(vectorOf);
    for (const [i, one] of vectors.entries()) {
      for (const other of vectors.slice(i + 1)) expect(dot(one, other)).toBeLessThan(0.9999);
    }
  });

  it('of an image by a model that cannot see are BACKEND_REJECTED', async () => {
    const image = { uri: `artifact://t/${'1'.repeat(64)}`, sha256: '1'.repeat(64), mime: 'image/png', bytes: 2 };
    const bytes = async () => new Uint8Array([0x89, 0x50]);
    await expect(embed({ image }, { embedBy: 'messages' }, { bytes })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
    });
  });

  it('of fewer dimensions are refused by a model that was not trained for them', async () => {
    const fewer = embed({ text: 'x' }, { extra: { dimensions: 32 } });
    await expect(fewer).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringMatching(/matryoshka|dimensions/i),
    });
  });

  it('of a text that is too long are CONTEXT_TOO_LONG, unless it is cut', async () => {
    const text = 'river '.repeat(6_000);
    await expect(embed({ text })).rejects.toMatchObject({
      code: 'CONTEXT_TOO_LONG',
      details: { contextTokens: 4_096 },
    });
    const { usage } = await embed({ text }, { extra: { truncate_prompt_tokens: 50 } });
    expect(usage?.inputTokens).toBe(50);
  });
});

describe('scores at vLLM', () => {
  const query = 'A mill turns.';
  const passages = TEXTS.map((text, i) => ({ id: String(i), text }));
  const scoresOf = ({ output }: Reply) =>
    Object.fromEntries(
      (output.passages as { id: string; score: number }[]).map(({ id, score }) => [id, Number(score.toFixed(3))]),
    );

  it('are the same by both routes, best first', async () => {
    const [ranked, scored] = await Promise.all([
      ask({ kind: 'rerank', input: { query, passages } }),
      ask({ kind: 'rerank', input: { query, passages } }, { rerankBy: 'score' }),
    ]);
    for (const reply of [ranked, scored]) expect(reply.output.passages).toMatchObject([{ id: '0' }, {}, {}]);
    expect(scoresOf(ranked)['0']).toBeCloseTo(1, 2);
    for (const id of ['0', '1', '2']) expect(scoresOf(scored)[id]).toBeCloseTo(scoresOf(ranked)[id] ?? 0, 2);
    const [best] = (await ask({ kind: 'rerank', with: { top: 1 }, input: { query, passages } })).output
      .passages as JsonObject[];
    expect(best?.id).toBe('0');
  });

  it('of pairs come in their order', async () => {
    const pairs = [
      { query, text: TEXTS[1] ?? '' },
      { query, text: query },
    ];
    const { output } = await ask({ kind: 'rerank', input: { pairs } }, { rerankBy: 'score' });
    const [other = 1, same = 0] = output.scores as number[];
    expect(same).toBeCloseTo(1, 2);
    expect(other).toBeLessThan(same);
  });
});

it('a classification is refused: it needs a vLLM that chats', async () => {
  const call = { kind: 'classify', with: { labels: ['a', 'b'] }, input: { text: 'x' } };
  await expect(ask(call)).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
});

describe('the caller at vLLM', () => {
  it('priority is taken with vectors and scores', async () => {
    const caller = { priority: 'batch' } as const;
    await embed({ text: 'x' }, { priority: true }, caller);
    const input = { query: 'x', passages: [{ text: 'x' }] };
    for (const rerankBy of ['rerank', 'score'])
      await ask({ kind: 'rerank', input }, { priority: true, rerankBy }, caller);
  });

  it('cacheSalt: tenants share no cached prefix of a text', async () => {
    const text = 'A mill stands by the river and turns all day. '.repeat(60);
    const grown = async (tenant: string) => {
      const before = await counter(server.endpoint, 'prefix_cache_hits_total');
      await embed({ text }, {}, { tenant });
      return (await counter(server.endpoint, 'prefix_cache_hits_total')) - before;
    };
    expect(await grown('acme')).toBeLessThan(100);
    const again = await grown('acme');
    expect(again).toBeGreaterThan(200);
    expect(await grown('other')).toBeLessThan(100);
  });
});
