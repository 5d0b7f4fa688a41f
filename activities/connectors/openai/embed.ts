import type { OpenAI } from 'openai';
import pMap from 'p-map';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { linkedAbort } from '../../../runtime/limited.js';
import { unitVector } from '../unit-vector.js';
import { type EmbedRequest, itemsOf, requestsOf } from './embed-requests.js';
import { extrasOf, ofPoolingCaller, withExtra } from './extra.js';
import type { KindHandler } from './kind-handler.js';

/**
 * `POST /v1/embeddings` of one text or medium, or of a list of them or of tokens, in requests of the pool's batch size. How media
 * go is the pool's `embedBy`.
 */
export const embed: KindHandler = {
  async invoke(call, context) {
    const { model, with: options, input } = call;
    const { client, signal, options: pool, software } = context;
    const { prefix = '', extra, system } = pool.as?.[options.as as 'query' | 'passage'] ?? {};
    const { items, single } = itemsOf(input, prefix);
    const frame = { ...pool.conversation, ...(system !== undefined && { system }) };
    // Triton's frontend takes one text, or the tokens of one.
    const batch = software === 'triton' ? 1 : pool.batch;
    const requests = requestsOf(items, { embedBy: pool.embedBy, batch, software, frame });
    const extras = [ofPoolingCaller('embeddings', software, pool, context), ...extrasOf(call, pool), extra];
    const vectors: number[][] = items.map(() => []);
    let inputTokens: number | undefined;
    // A request of messages has one item: several at once, for the server to batch.
    const concurrency = pool.embedBy === 'messages' ? MESSAGES_AT_ONCE : 1;
    await together(requests, concurrency, signal, async (request, own) => {
      const members = await request.members({ ...context, signal: own });
      const answer = await embeddings(client, { model, count: request.at.length, members, extras }, own);
      for (const [i, at] of request.at.entries()) vectors[at] = answer.vectors[i] ?? [];
      if (answer.tokens !== undefined) inputTokens = (inputTokens ?? 0) + answer.tokens;
    });
    return {
      output: single ? { embedding: vectors[0] ?? [] } : { embeddings: vectors },
      usage: { ...(inputTokens !== undefined && { inputTokens }) },
    };
  },
  async probe(model, client, signal, pool) {
    const role = pool.as?.query ?? pool.as?.passage;
    const extras = [pool.extra, role?.extra];
    await embeddings(client, { model, count: 1, members: { input: 'ok' }, extras }, signal);
  },
};

const MESSAGES_AT_ONCE = 4;

/** Sends all; the first failure aborts the others. */
async function together(
  requests: readonly EmbedRequest[],
  concurrency: number,
  signal: AbortSignal,
  send: (request: EmbedRequest, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { own, release } = linkedAbort(signal);
  try {
    await pMap(requests, (request) => send(request, own.signal), { concurrency });
  } catch (error) {
    own.abort(error);
    throw error;
  } finally {
    release();
  }
}

interface Question {
  readonly model: string;
  /** Number of vectors. */
  readonly count: number;
  /** What is embedded, as members of the request. */
  readonly members: JsonObject;
  readonly extras: readonly (JsonObject | undefined)[];
}

async function embeddings(
  client: OpenAI,
  { model, count, members, extras }: Question,
  signal: AbortSignal,
): Promise<{ readonly vectors: number[][]; readonly tokens: number | undefined }> {
  // The client requests base64 by default, which some servers do not support.
  const body = { model, ...members, encoding_format: 'float' as const } as unknown as OpenAI.EmbeddingCreateParams;
  const { data, usage } = await client.embeddings.create(withExtra(body, ...extras), { signal });
  const vectors: (number[] | undefined)[] = Array.from({ length: count }, () => undefined);
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
    const given = vectors.filter((vector) => vector !== undefined).length;
    throw new MillraceError('INVALID_OUTPUT', `the answer has ${given} embeddings for ${count} items`);
  }
  const tokens: unknown = usage?.prompt_tokens;
  return { vectors, tokens: typeof tokens === 'number' ? tokens : undefined };
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');
