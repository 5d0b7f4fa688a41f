import { z } from 'zod';
import type { OfKind } from '../definition/refused.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const passage = z.object({ id: z.string(), text: z.string(), metadata: metadata.optional() });
const scored = passage.extend({
  /** Higher is closer: cosine similarity from `retrieve`, the model's own score from `rerank`. */
  score: z.number(),
});

/** A piece of text in a vector index. */
export type Passage = z.output<typeof passage>;
/** A passage with its score: for `retrieve` the cosine similarity, for `rerank` the model’s score. */
export type ScoredPassage = z.output<typeof scored>;

const DEFAULT_EMBEDDER = 'minilm';
/** Fits into a small model's context beside the question. */
const DEFAULT_K = 4;

const query = z.object({ query: z.string() });
const found = z.object({ passages: z.array(scored) });

/** The passages of an index closest in meaning to a query, closest first. Each index belongs to one tenant. */
export const retrieve = (options: {
  /** Name of the index. */
  index: string;
  /** Maximum number of passages, at most 1,000. Default 4. */
  k?: number;
  /** Minimum cosine similarity. Default: none. */
  minScore?: number;
  /** Pool that embeds the query; must be the one used for `upsert`. Default `minilm`. */
  embedder?: string;
}): StageUse<z.output<typeof query>, z.output<typeof found>> & OfKind<'retrieve'> => ({
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

/** Writes passages into an index; a passage with the same id is replaced. */
export const upsert = (options: {
  index: string;
  embedder?: string;
}): StageUse<z.output<typeof passages>, z.output<typeof stored>> & OfKind<'upsert'> => ({
  kind: 'upsert',
  model: options.index,
  with: { embedder: options.embedder ?? DEFAULT_EMBEDDER },
  input: passages,
  output: stored,
});

export const upsertKind: StageKind = { input: passages, output: stored, ...TRAITS.upsert, alsoNeeds: ['embedder'] };

const candidates = z.object({ query: z.string(), passages: z.array(passage.extend({ score: z.number().optional() })) });

/** Orders passages by how well they answer the query according to a reranker, best first. */
export const rerank = (options: {
  model: string;
  /** Maximum number of passages kept. Default: all. */
  top?: number;
}): StageUse<z.output<typeof candidates>, z.output<typeof found>> => ({
  kind: 'rerank',
  model: options.model,
  with: { ...(options.top !== undefined && { top: options.top }) },
  input: candidates,
  output: found,
});

export const rerankKind: StageKind = { input: candidates, output: found, ...TRAITS.rerank };
