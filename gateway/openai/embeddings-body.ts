/** Most texts of a request; OpenAI's own limit. */
export const MOST_TEXTS = 2_048;

/** A vector as the response has it: as numbers, or as base64 of its bytes. */
export type Vector = readonly number[] | string;

export interface Embedded {
  readonly vectors: readonly Vector[];
  readonly tokens: number;
}

/** 32-bit floats, little-endian, as OpenAI's clients expect. */
export function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4);
  return bytes.toString('base64');
}

/** The response as text in parts: of thousands of embeddings it is not in memory as a whole. */
export function* embeddingsBody(model: string, runs: readonly Embedded[]): Generator<string, void> {
  const vectors = runs.flatMap((run) => run.vectors);
  // OpenAI's clients require it: 0 if no model server reports usage.
  const tokens = runs.reduce((sum, run) => sum + run.tokens, 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  yield `${JSON.stringify({ object: 'list', model, usage }).slice(0, -1)},"data":[`;
  for (const [index, embedding] of vectors.entries())
    yield `${index > 0 ? ',' : ''}${JSON.stringify({ object: 'embedding', index, embedding })}`;
  yield ']}';
}
