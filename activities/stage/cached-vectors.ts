import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ExactCacheCall, StageCall } from '../../pipelines/run/index.js';
import type { EmbedAllInput, EmbedInput, EmbedTokensInput } from '../../pipelines/stages/embed.js';
import type { StageKind } from '../../pipelines/stages/kind.js';
import type { VectorCache } from '../cache/index.js';
import type { CachedServed, Serve } from './cached-served.js';

interface Asked {
  readonly call: StageCall;
  readonly cache: ExactCacheCall;
  readonly kind: Pick<StageKind, 'input'>;
  readonly input: JsonObject;
  /** Identity of the model. */
  readonly model: string;
  readonly signal: AbortSignal;
}

/** An `embed` stage: only the texts whose vector is not cached are sent to the model, each once. */
export async function throughVectors(vectors: VectorCache, asked: Asked, serve: Serve): Promise<CachedServed> {
  const { call, cache, kind, model, signal } = asked;
  const checked = kind.input.safeParse(asked.input);
  // Not an input of this kind: the call refuses it.
  if (!checked.success) return { ...(await serve()), cache: 'bypass' };
  const input = checked.data as EmbedInput | EmbedAllInput | EmbedTokensInput;
  if ('tokens' in input) return { ...(await serve()), cache: 'bypass' };
  const texts = 'texts' in input ? input.texts : [input.text];
  if (texts.length === 0) return { ...(await serve()), cache: 'bypass' };
  const { tenant } = call;
  const { principal, insertedBy, ttlMs, untilMidnight, version } = cache;
  const space = { tenant, model, with: call.with, principal, insertedBy, ttlMs, untilMidnight, version };
  const found = await vectors.read(space, texts);
  signal.throwIfAborted();
  const known = new Map<string, readonly number[]>();
  for (const [i, vector] of (found ?? []).entries()) if (vector) known.set(texts[i] as string, vector);
  const missing = [...new Set(texts)].filter((text) => !known.has(text));
  const outputOf = () => outputOfTexts(input, texts, known);
  if (missing.length === 0) return { output: outputOf(), endpoint: 'cache', device: '', cache: 'hit' };
  if (cache.only)
    throw new MillraceError('NOT_CACHED', `the cache has not all embeddings of the stage "${call.stage}"`);
  const started = performance.now();
  const served = await serve('texts' in input ? { ...input, texts: missing } : input);
  if (found === undefined && missing.length === texts.length) return { ...served, cache: 'bypass' };
  const made = vectorsIn(served.output);
  for (const [i, text] of missing.entries()) if (made[i]) known.set(text, made[i]);
  await vectors.write(
    space,
    missing.flatMap((text, i) => (made[i] ? [[text, made[i]] as const] : [])),
    (performance.now() - started) / missing.length,
  );
  return { ...served, output: { ...served.output, ...outputOf() }, cache: 'miss' };
}

const vectorsIn = ({ embedding, embeddings }: JsonObject): readonly (readonly number[])[] =>
  (Array.isArray(embeddings) ? embeddings : [embedding]) as readonly (readonly number[])[];

const outputOfTexts = (
  input: EmbedInput | EmbedAllInput,
  texts: readonly string[],
  known: ReadonlyMap<string, readonly number[]>,
): JsonObject => {
  const all = texts.map((text) => known.get(text) ?? []);
  return 'texts' in input ? { embeddings: all as number[][] } : { embedding: (all[0] ?? []) as number[] };
};
