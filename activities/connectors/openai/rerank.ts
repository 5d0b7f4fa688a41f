import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { Reply } from '../connector.js';
import { extrasOf, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

type Passage = JsonObject & { readonly text: string };

/**
 * `POST /v1/rerank`, which OpenAI does not have: the API of Jina and Cohere, also offered by vLLM and llama.cpp; or
 * vLLM's `POST /v1/score`, where the pool says so. Scores
 * are on the model's own scale; equal scores keep the server's order.
 */
export const rerank: KindHandler = {
  async invoke(call, { client, signal, options: pool }) {
    const { model, with: options, input } = call;
    const passages = input.passages as readonly Passage[];
    const top = Math.min((options.top as number | undefined) ?? passages.length, passages.length);
    // Servers refuse an empty list.
    if (top === 0) return { output: { passages: [] } };
    return ranked(
      client,
      { model, query: input.query as string, passages, top, extras: extrasOf(call, pool), by: pool.rerankBy },
      signal,
    );
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
  const answer = await client.post<Answer>(`/${by}`, { body: withExtra<object>(own, ...extras), signal });
  const { results, usage } = score ? { results: answer.data?.map(asResult), usage: answer.usage } : answer;
  if (!Array.isArray(results)) throw new MillraceError('INVALID_OUTPUT', 'the answer has no results');
  const scored = new Map<number, number>();
  for (const { index, relevance_score: score } of results.map(Object) as NonNullable<Answer['results']>) {
    const known = typeof index === 'number' && passages[index] !== undefined && !scored.has(index);
    if (!known || typeof score !== 'number') {
      throw new MillraceError('INVALID_OUTPUT', `a result with index ${index} and score ${score}`);
    }
    scored.set(index, score);
  }
  if (scored.size < top) throw new MillraceError('INVALID_OUTPUT', `${scored.size} results instead of ${top}`);
  const best = [...scored].sort(([, a], [, b]) => b - a).slice(0, top);
  const tokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return {
    output: { passages: best.map(([index, score]) => ({ ...passages[index], score })) as readonly JsonObject[] },
    usage: { ...(typeof tokens === 'number' && { inputTokens: tokens }) },
  };
}
