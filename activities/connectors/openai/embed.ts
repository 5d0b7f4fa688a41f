import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { unitVector } from '../unit-vector.js';
import { extrasOf, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

/** A text, or its tokens. */
type Item = string | readonly number[];

/** `POST /v1/embeddings` of one text, or of a list of texts or tokens in requests of the pool's batch size. */
export const embed: KindHandler = {
  async invoke(call, { client, signal, options: pool }) {
    const { model, with: options, input } = call;
    const { prefix = '', extra } = pool.as?.[options.as as 'query' | 'passage'] ?? {};
    const texts = (input.tokens ?? input.texts ?? [input.text]) as readonly Item[];
    const vectors: number[][] = [];
    let inputTokens: number | undefined;
    for (let at = 0; at < texts.length; at += pool.batch) {
      const batch = texts
        .slice(at, at + pool.batch)
        .map((item) => (typeof item === 'string' ? `${prefix}${item}` : item));
      const extras = [...extrasOf(call, pool), extra];
      const answer = await embeddings(client, { model, texts: batch, extras }, signal);
      vectors.push(...answer.vectors);
      if (answer.tokens !== undefined) inputTokens = (inputTokens ?? 0) + answer.tokens;
    }
    return {
      output: input.text === undefined ? { embeddings: vectors } : { embedding: vectors[0] ?? [] },
      usage: { ...(inputTokens !== undefined && { inputTokens }) },
    };
  },
  async probe(model, client, signal, pool) {
    const role = pool.as?.query ?? pool.as?.passage;
    await embeddings(client, { model, texts: ['ok'], extras: [pool.extra, role?.extra] }, signal);
  },
};

interface Question {
  readonly model: string;
  readonly texts: readonly Item[];
  readonly extras: readonly (JsonObject | undefined)[];
}

async function embeddings(
  client: OpenAI,
  { model, texts, extras }: Question,
  signal: AbortSignal,
): Promise<{ readonly vectors: number[][]; readonly tokens: number | undefined }> {
  // The client requests base64 by default, which some servers do not support. A single text is sent as such: not every
  // server takes lists.
  const single = texts.length === 1 ? texts[0] : undefined;
  const body = {
    model,
    input: (single ?? texts) as OpenAI.EmbeddingCreateParams['input'],
    encoding_format: 'float' as const,
  };
  const { data, usage } = await client.embeddings.create(withExtra(body, ...extras), { signal });
  const vectors: (number[] | undefined)[] = texts.map(() => undefined);
  for (const [i, item] of (Array.isArray(data) ? data : []).entries()) {
    // Servers may answer out of order; some leave the index out.
    const index: unknown = Object(item).index ?? i;
    const vector: unknown = Object(item).embedding;
    if (typeof index !== 'number' || !(index in vectors) || vectors[index] !== undefined || !isVector(vector)) {
      throw new MillraceError('INVALID_OUTPUT', `the answer's embedding ${i} is none, or has the index ${index}`);
    }
    vectors[index] = unitVector(vector);
  }
  if (!vectors.every((vector) => vector !== undefined)) {
    const count = vectors.filter((vector) => vector !== undefined).length;
    throw new MillraceError('INVALID_OUTPUT', `the answer has ${count} embeddings for ${texts.length} texts`);
  }
  const tokens: unknown = usage?.prompt_tokens;
  return { vectors, tokens: typeof tokens === 'number' ? tokens : undefined };
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');
