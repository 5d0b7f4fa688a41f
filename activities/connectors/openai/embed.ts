import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Reply } from '../connector.js';
import { unitVector } from '../unit-vector.js';
import type { KindHandler } from './kind-handler.js';

/** `POST /v1/embeddings` of one text. */
export const embed: KindHandler = {
  invoke: ({ model, input }, { client, signal }) => embedding(client, model, input.text as string, signal),
  async probe(model, client, signal) {
    await embedding(client, model, 'ok', signal);
  },
};

async function embedding(client: OpenAI, model: string, text: string, signal: AbortSignal): Promise<Reply> {
  const { data, usage } = await client.embeddings.create(
    // The client requests base64 by default, which some servers do not support.
    { model, input: text, encoding_format: 'float' },
    { signal },
  );
  const vector: unknown = Array.isArray(data) ? data[0]?.embedding : undefined;
  if (!Array.isArray(vector) || !vector.every((value) => typeof value === 'number')) {
    throw new MillraceError('INVALID_OUTPUT', 'the answer has no embedding');
  }
  return {
    output: { embedding: unitVector(vector) },
    usage: { ...(typeof usage?.prompt_tokens === 'number' && { inputTokens: usage.prompt_tokens }) },
  };
}
