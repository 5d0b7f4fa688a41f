import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Call, Reply } from '../connector.js';
import { unitVector } from '../unit-vector.js';

/** `POST /v1/embeddings` of one text. */
export async function embed(client: OpenAI, call: Call, signal: AbortSignal): Promise<Reply> {
  const { data, usage } = await client.embeddings.create(
    // The client asks for base64 by default, which not every server knows.
    { model: call.model, input: call.input.text as string, encoding_format: 'float' },
    { signal },
  );
  const embedding: unknown = Array.isArray(data) ? data[0]?.embedding : undefined;
  if (!Array.isArray(embedding) || !embedding.every((value) => typeof value === 'number')) {
    throw new MillraceError('INVALID_OUTPUT', 'the answer has no embedding');
  }
  return {
    output: { embedding: unitVector(embedding) },
    usage: { ...(typeof usage?.prompt_tokens === 'number' && { inputTokens: usage.prompt_tokens }) },
  };
}
