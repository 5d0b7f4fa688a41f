import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { Reply, Usage } from '../connector.js';
import { oneByOne, pairsIn } from '../pairs.js';
import { extrasOf, ofPoolingCaller, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

type Passage = JsonObject & { readonly text: string };

/**
 * `POST /v1/rerank`, which OpenAI does not have: the API of Jina and Cohere, also offered by vLLM and llama.cpp; or
 * vLLM's `POST /v1/score`, where the pool says so, which takes the pairs of a call that has several in one request. Scores
 * are on the model's own scale; equal scores keep the server's order.
 */
export const rerank: KindHandler = {
  async invoke(call, context) {
    const { client, signal, options: pool, software } = context;
    const { model, with: options, input } = call;
    const pairs = pairsIn(call);
    const extras = [ofPoolingCaller('scores', software, pool, context), ...extrasOf(call, pool)];
    if (pairs && pool.rerankBy === 'score') return scoredPairs(client, { model, pairs, extras }, signal);
    if (pairs) return oneByOne(call, pairs, (each) => rerank.invoke(each, context));
    const passages = input.passages as readonly Passage[];
    const top = Math.min((options.top as number | undefined) ?? passages.length, passages.length);
    // Servers refuse an empty list.
    if (top === 0) return { output: { passages: [] } };
    return ranked(client, { model, query: input.query as string, passages, top, extras, by: pool.rerankBy }, signal);
  },
  async probe(model, client, signal) {
    await ranked(client, { model, query: 'ok', passages: [{ text: 'ok' }], top: 1 }, signal);
  },
};

interface Question {
  readonly model: string;
  readonly query: string;
  readonly passages: readonly Passage[];
  /** Number of results. */
  readonly top: number;
  /** Members of the request that come after its own. */
  readonly extras?: readonly (JsonObject | undefined)[];
  /** Default `rerank`. */
  readonly by?: 'rerank' | 'score';
}

interface Answer {
  /** Of `/score`. */
  readonly data?: readonly { readonly index?: unknown; readonly score?: unknown }[] | null;
  readonly results?: readonly { readonly index?: unknown; readonly relevance_score?: unknown }[] | null;
  readonly usage?: { readonly prompt_tokens?: number; readonly total_tokens?: number } | null;
}

const asResult = (each: unknown) => {
  const { index, score } = Object(each) as { readonly index?: unknown; readonly score?: unknown };
  return { index, relevance_score: score };
};

async function ranked(
  client: OpenAI,
  { model, query, passages, top, extras = [], by = 'rerank' }: Question,
  signal: AbortSignal,
): Promise<Reply> {
  const texts = passages.map(({ text }) => text);
  const score = by === 'score';
  const own = score ? { model, text_1: query, text_2: texts } : { model, query, documents: texts, top_n: top };
  const answer = await client.post<Answer | readonly unknown[]>(`/${by}`, {
    body: withExtra<object>(own, ...extras),
    signal,
  });
  const { results, usage } = resultsOf(answer, by);
  const scored = scoresIn(results, texts);
  if (scored.size < top) throw new MillraceError('INVALID_OUTPUT', `${scored.size} results instead of ${top}`);
  const best = [...scored].sort(([, a], [, b]) => b - a).slice(0, top);
  return {
    output: { passages: best.map(([index, score]) => ({ ...passages[index], score })) as readonly JsonObject[] },
    usage: usageOf(usage),
  };
}

/** The results under the names of `/rerank`. SGLang answers there with a bare list (sglang/srt/entrypoints/openai/serving_rerank.py). */
function resultsOf(
  answer: Answer | readonly unknown[],
  by: 'rerank' | 'score',
): { readonly results: Answer['results']; readonly usage?: Answer['usage'] } {
  if (isList(answer)) return { results: answer.map(asResult) };
  const { data, results, usage } = answer;
  return { results: by === 'score' ? data?.map(asResult) : results, usage };
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** The score of each pair, in their order. */
async function scoredPairs(
  client: OpenAI,
  { model, pairs, extras = [] }: Pick<Question, 'model' | 'extras'> & { readonly pairs: readonly JsonObject[] },
  signal: AbortSignal,
): Promise<Reply> {
  const [queries, texts] = [pairs.map(({ query }) => String(query)), pairs.map(({ text }) => String(text))];
  const body = withExtra<object>({ model, text_1: queries, text_2: texts }, ...extras);
  const { data, usage } = await client.post<Answer>('/score', { body, signal });
  const scored = scoresIn(data?.map(asResult), texts);
  if (scored.size < texts.length)
    throw new MillraceError('INVALID_OUTPUT', `${scored.size} scores of ${texts.length} pairs`);
  return { output: { scores: texts.map((_, i) => scored.get(i) as number) }, usage: usageOf(usage) };
}

/** Scores by the index of their text. Throws `INVALID_OUTPUT` for a result of no text, or of one that has a score. */
function scoresIn(results: Answer['results'], texts: readonly string[]): Map<number, number> {
  if (!Array.isArray(results)) throw new MillraceError('INVALID_OUTPUT', 'the answer has no results');
  const scored = new Map<number, number>();
  for (const { index, relevance_score: score } of results.map(Object) as NonNullable<Answer['results']>) {
    const known = typeof index === 'number' && texts[index] !== undefined && !scored.has(index);
    if (!known || typeof score !== 'number') {
      throw new MillraceError('INVALID_OUTPUT', `a result with index ${index} and score ${score}`);
    }
    scored.set(index, score);
  }
  return scored;
}

function usageOf(usage: Answer['usage']): Usage {
  const tokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return typeof tokens === 'number' ? { inputTokens: tokens } : {};
}
