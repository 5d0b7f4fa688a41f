import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const passage = z.object({ id: z.string(), text: z.string(), metadata: metadata.optional() });
const scored = passage.extend({
  /** Higher is nearer: cosine similarity from `retrieve`, the model's own score from `rerank`. */
  score: z.number(),
});

/** A piece of text in a vector index. */
export type Passage = z.output<typeof passage>;
export type ScoredPassage = z.output<typeof scored>;

const DEFAULT_EMBEDDER = 'minilm';
/** What fits into the context of a small model beside the question. */
const DEFAULT_K = 4;

const query = z.object({ query: z.string() });
const found = z.object({ passages: z.array(scored) });

/** The passages of an index that are nearest in meaning to a query, nearest first. An index is of one tenant. */
export const retrieve = (options: {
  /** Name of the index. */
  index: string;
  /** Most passages. Default 4. */
  k?: number;
  /** Least cosine similarity. Default: none. */
  minScore?: number;
  /** Pool that embeds the query; the same as for `upsert`. Default `minilm`. */
  embedder?: string;
}): StageUse<z.output<typeof query>, z.output<typeof found>> => ({
  kind: 'retrieve',
  model: options.index,
  with: {
    k: options.k ?? DEFAULT_K,
    ...(options.minScore !== undefined && { minScore: options.minScore }),
    embedder: options.embedder ?? DEFAULT_EMBEDDER,
  },
  input: query,
  output: found,
});

export const retrieveKind: StageKind = { input: query, output: found, ...TRAITS.retrieve, alsoNeeds: ['embedder'] };

const passages = z.object({ passages: z.array(passage) });
const stored = z.object({ count: z.int() });

/** Puts passages into an index; one with the same id is replaced. */
export const upsert = (options: {
  index: string;
  embedder?: string;
}): StageUse<z.output<typeof passages>, z.output<typeof stored>> => ({
  kind: 'upsert',
  model: options.index,
  with: { embedder: options.embedder ?? DEFAULT_EMBEDDER },
  input: passages,
  output: stored,
});

export const upsertKind: StageKind = { input: passages, output: stored, ...TRAITS.upsert, alsoNeeds: ['embedder'] };

const candidates = z.object({ query: z.string(), passages: z.array(passage.extend({ score: z.number().optional() })) });

/** Passages in the order in which a reranker finds that they answer the query, best first. */
export const rerank = (options: {
  model: string;
  /** Most passages that are kept. Default: all. */
  top?: number;
}): StageUse<z.output<typeof candidates>, z.output<typeof found>> => ({
  kind: 'rerank',
  model: options.model,
  with: { ...(options.top !== undefined && { top: options.top }) },
  input: candidates,
  output: found,
});

export const rerankKind: StageKind = { input: candidates, output: found, ...TRAITS.rerank };
