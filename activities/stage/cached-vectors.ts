import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ExactCacheCall, StageCall } from '../../pipelines/run/index.js';
import { EMBEDDED, type EmbedAllInput, type EmbedInput, type EmbedTokensInput } from '../../pipelines/stages/embed.js';
import type { StageKind } from '../../pipelines/stages/kind.js';
import { dayEndOf, type Embedded, embeddedId, type VectorCache } from '../cache/index.js';
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

/** An `embed` stage: only what has no vector in the cache is sent to the model, each once. */
export async function throughVectors(vectors: VectorCache, asked: Asked, serve: Serve): Promise<CachedServed> {
  const { call, cache, kind, model, signal } = asked;
  const checked = kind.input.safeParse(asked.input);
  // Not an input of this kind: the call refuses it.
  if (!checked.success) return { ...(await serve()), cache: 'bypass' };
  const input = checked.data as EmbedInput | EmbedAllInput | EmbedTokensInput;
  if ('tokens' in input) return { ...(await serve()), cache: 'bypass' };
  const all = embeddedIn(input);
  if (all.length === 0) return { ...(await serve()), cache: 'bypass' };
  const ids = all.map(embeddedId);
  const { tenant } = call;
  const { principal, insertedBy, ttlMs, untilMidnight, version } = cache;
  const space = { tenant, model, with: call.with, principal, insertedBy, ttlMs, untilMidnight, version };
  const found = await vectors.read(space, all);
  signal.throwIfAborted();
  const known = new Map<string, readonly number[]>();
  for (const [i, vector] of (found ?? []).entries()) if (vector) known.set(ids[i] as string, vector);
  // Where what is missing stands in the list, each once.
  const places = new Map(ids.map((id, i) => [id, i] as const));
  const missing = [...places].flatMap(([id, i]) => (known.has(id) ? [] : [i]));
  const outputOf = () => outputOfAll(input, ids, known);
  if (missing.length === 0) return { output: outputOf(), endpoint: 'cache', device: '', cache: 'hit' };
  if (cache.only)
    throw new MillraceError('NOT_CACHED', `the cache has not all embeddings of the stage "${call.stage}"`);
  const started = performance.now();
  const dayEnds = dayEndOf(untilMidnight);
  const served = await serve(only(input, missing));
  if (found === undefined && missing.length === all.length) return { ...served, cache: 'bypass' };
  const made = vectorsIn(served.output);
  const entries = missing.flatMap((at, i) => (made[i] ? [[at, made[i]] as const] : []));
  for (const [at, vector] of entries) known.set(ids[at] as string, vector);
  await vectors.write(
    space,
    entries.map(([at, vector]) => [all[at] as Embedded, vector] as const),
    (performance.now() - started) / missing.length,
    dayEnds,
  );
  return { ...served, output: { ...served.output, ...outputOf() }, cache: 'miss' };
}

/** What an input wants vectors of. */
function embeddedIn(input: EmbedInput | EmbedAllInput): readonly Embedded[] {
  if ('texts' in input && input.texts) return input.texts;
  return 'items' in input && input.items ? input.items.map(embeddedOf) : [embeddedOf(input as EmbedInput)];
}

function embeddedOf(item: EmbedInput): Embedded {
  if (item.text !== undefined) return item.text;
  const kind = EMBEDDED.find((each) => item[each] !== undefined) ?? '';
  return { kind, artifact: item[kind as 'image'] as Artifact };
}

/** The input of a call for some of a list; that of a single item as it is. */
function only(input: EmbedInput | EmbedAllInput, at: readonly number[]): JsonObject {
  for (const list of ['texts', 'items'] as const) {
    const all = (input as unknown as JsonObject)[list];
    if (Array.isArray(all)) return { ...input, [list]: at.map((i) => all[i]) } as unknown as JsonObject;
  }
  return input as unknown as JsonObject;
}

const vectorsIn = ({ embedding, embeddings }: JsonObject): readonly (readonly number[])[] =>
  (Array.isArray(embeddings) ? embeddings : [embedding]) as readonly (readonly number[])[];

const outputOfAll = (
  input: EmbedInput | EmbedAllInput,
  ids: readonly string[],
  known: ReadonlyMap<string, readonly number[]>,
): JsonObject => {
  const all = ids.map((id) => known.get(id) ?? []);
  const isList = 'texts' in input || 'items' in input;
  return isList ? { embeddings: all as number[][] } : { embedding: (all[0] ?? []) as number[] };
};
