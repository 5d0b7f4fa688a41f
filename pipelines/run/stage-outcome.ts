import type { Artifact } from '../artifact.js';
import type { JsonObject } from '../json.js';

/**
 * Result of the cache for a stage: `off` no cache, `hit` a cached answer was served, `miss` the model was called and
 * its answer cached, `shared` an identical request in progress supplied its answer, `bypass` the cache was unreachable.
 */
export type CacheOutcome = 'off' | 'hit' | 'miss' | 'shared' | 'bypass';

/** How a cached answer was found. */
export type CachedBy = {
  /**
   * `exact`: the same text. `guard`: another form of it. `verifier`: a text that the verifier takes for the same, while the
   * stage's measured error rate permits it. `entailment`: so does the verifier together with the model of entailment.
   */
  readonly tier: 'exact' | 'guard' | 'verifier' | 'entailment';
  /** Cosine of the embeddings of the two texts. */
  readonly similarity?: number;
  /** The verifier's score, from 0 to 1. */
  readonly score?: number;
  /** How surely each of the two texts entails the other, the lesser of both; part of the score. */
  readonly entailment?: number;
  /** Upper 90 % bound of the stage's error rate at that moment. */
  readonly bound?: number;
  /** The entry, for a report that it was wrong. */
  readonly entry: string;
};

/** What a stage's activity returns. */
export interface StageOutcome {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
  readonly attempt: number;
  readonly cache: CacheOutcome;
  /** Of a cached answer. */
  readonly cachedBy?: CachedBy;
  /** Time between when this attempt could start and when it started, in milliseconds. */
  readonly queueMs: number;
  readonly runMs: number;
  /** Conversions of input media: `audio: 44100 Hz stereo resampled to 16000 Hz mono`. */
  readonly conversions?: readonly string[];
  /** The second call of a hedge responded first. */
  readonly hedged?: true;
  /** The result comes from the record of the run that this one resumes: no call was made. */
  readonly resumed?: true;
  /** Usage of the call, if reported by the server. */
  readonly usage?: TokenUsage;
  /** The result was longer than the call's `fit`; the output is then empty. */
  readonly whole?: WholeResult;
}

/** A tool's result that is too long for a conversation. */
export interface WholeResult {
  /** Its text. */
  readonly artifact: Artifact;
  /** Length of the text. */
  readonly characters: number;
  readonly beginning: string;
}

/** Tokens of model calls, and their cost by the prices of their pools, where these state one. */
export type TokenUsage = { readonly inputTokens?: number; readonly outputTokens?: number; readonly cost?: number };
