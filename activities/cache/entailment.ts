import { plainContext } from '../connectors/plain-context.js';
import type { Pools } from '../pools/index.js';
import type { EmbedCaller } from './embedder.js';

/** Two texts, of which the first may entail the second. */
export type Claim = readonly [premise: string, hypothesis: string];

/** A served model that says how surely a text entails another. */
export interface Entailment {
  /** Identifies the model, its weights and the options of its pool. */
  identity(signal: AbortSignal): Promise<string>;
  /** How sure the model is of each claim, from 0 to 1, in their order; as the model gives it, unchecked. */
  scores(claims: readonly Claim[], signal: AbortSignal, caller: EmbedCaller): Promise<readonly unknown[]>;
}

/**
 * A pool of a model of entailment: a classifier of two texts, by its score of `label`, or a reranker, by its score. All claims
 * are one call.
 */
export function entailmentOf(pools: Pools, name: string, label: string): Entailment {
  return {
    identity: async (signal) => pools.get(name).answersAs(signal),
    async scores(claims, signal, { tenant, priority, queueMs }) {
      return await pools.get(name).use(
        async (backend, { kind, model }, own) => {
          const classifies = kind !== 'rerank';
          const { output } = await backend.invoke(
            classifies
              ? { kind, model, with: { labels: [label] }, input: { pairs: claims.map(asTexts) } }
              : { kind, model, with: {}, input: { pairs: claims.map(asQuery) } },
            { ...plainContext(own), tenant, ...(priority && { priority }) },
          );
          if (!classifies) return listOf(output.scores);
          return listOf(output.results).map((result) => scoreIn(result, label));
        },
        { signal, tenant, priority, queueMs },
      );
    },
  };
}

const asTexts = ([text, textPair]: Claim) => ({ text, textPair });
const asQuery = ([query, text]: Claim) => ({ query, text });

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function scoreIn(result: unknown, label: string): unknown {
  const { scores } = Object(result) as { readonly scores?: unknown };
  return Object.hasOwn(Object(scores), label) ? (Object(scores) as Record<string, unknown>)[label] : undefined;
}
