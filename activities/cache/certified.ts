import { jsonHash } from '../../pipelines/plan/hash.js';
import type { CacheVerifier } from '../../pipelines/plan/index.js';
import type { CachedBy } from '../../pipelines/run/stage-outcome.js';
import { type Evidence, type EvidenceState, type Judged, stepOf } from '../../stores/evidence/index.js';
import type { CacheKeys, CacheRequest } from './cache-key.js';
import type { Entailments } from './entailments.js';
import type { Candidate } from './similar-texts.js';
import { FUSION, fused } from './verifier/fused.js';
import { VERIFIER } from './verifier/verifier.js';

/** Labels that a candidate counts among, and the step of its score there. */
export interface Counted {
  readonly judged: Judged;
  readonly step: number;
}

/** A candidate with what decides whether it is served. */
export interface Weighed {
  readonly candidate: Candidate;
  /** What decides; undefined: its score is served by no stage. */
  readonly by: Counted | undefined;
  /** All labels that the candidate counts among. */
  readonly counts: readonly Counted[];
}

export interface CertifiedParts {
  readonly evidence: Pick<Evidence, 'keyOf' | 'state'>;
  readonly entailments: Pick<Entailments, 'known' | 'ask'>;
  /** Numbers from 0 to 1 that choose the hits to ask again. */
  readonly random: () => number;
}

/** How long the state of a stage's evidence is used before it is read again, in milliseconds. */
const STATE_MS = 1_000;
/** Stages whose evidence a worker remembers for a second. */
const MOST_STATES = 10_000;
const REASK = 0.02;

/**
 * Whether a candidate is served: the guard's always, another one while the labels of its stage permit its score. With a model
 * of entailment the stage has labels of two scores: the verifier's alone, and the two together. Each of them is served only by
 * its own labels, so that the verifier goes on by itself, as far as it is measured by itself, where the model does not answer.
 */
export class Certified {
  readonly #parts: CertifiedParts;
  readonly #states = new Map<string, { readonly state: EvidenceState; readonly until: number }>();

  constructor(parts: CertifiedParts) {
    this.#parts = parts;
  }

  /**
   * Asks the model of entailment, if the stage has one, about a candidate of the verifier. Throws the signal's reason.
   *
   * @param judged the evidence of the verifier alone
   */
  async weigh(request: CacheRequest, candidate: Candidate, judged: Judged, signal: AbortSignal): Promise<Weighed> {
    const step = candidate.tier === 'guard' ? 0 : stepOf(candidate.score);
    const alone = step === undefined ? undefined : { judged, step };
    const without = { candidate, by: alone, counts: alone ? [alone] : [] };
    const { verifier, maxErrorRate } = request;
    if (!verifier || maxErrorRate === undefined) return without;
    const { entailments } = this.#parts;
    if (candidate.tier === 'guard') {
      // Served without the model, and without waiting for it.
      const known = entailments.known(verifier);
      if (known === undefined) return without;
      const by = { judged: besides(judged, verifier, known), step: 0 };
      return { candidate, by, counts: [by, ...without.counts] };
    }
    // A score that the surest model could not lift to the last step.
    if (stepOf(fused(candidate.score, 1)) === undefined) return without;
    const said = await entailments.ask(request, verifier, candidate.entry.text, signal);
    if (said === undefined) return without;
    const { identity, entailment } = said;
    const score = fused(candidate.score, entailment);
    const reached = stepOf(score);
    const by = reached === undefined ? undefined : { judged: besides(judged, verifier, identity), step: reached };
    return {
      candidate: { ...candidate, tier: 'entailment', score, entailment },
      by,
      counts: [...(by ? [by] : []), ...without.counts],
    };
  }

  /** How a candidate is served; undefined if it may not be, or if it is asked again to measure the error rate. */
  async permitted(
    request: CacheRequest,
    at: Pick<CacheKeys, 'partition'>,
    { candidate, by }: Weighed,
    reask = request.reask ?? REASK,
  ): Promise<CachedBy | undefined> {
    const { id, tier, similarity, score, entailment } = candidate;
    const entry = `${at.partition}:${id}`;
    const { maxErrorRate } = request;
    if (maxErrorRate === undefined) return tier === 'guard' ? { tier, similarity, entry } : undefined;
    if (by === undefined) return undefined;
    // Without evidence the guard alone decides.
    const state = await this.#state(by.judged, maxErrorRate).catch(() => undefined);
    if (by.step > (state?.open ?? 0)) return undefined;
    if (this.#parts.random() < reask) return undefined;
    return {
      tier,
      similarity,
      score,
      ...(entailment !== undefined && { entailment }),
      entry,
      ...(state && { bound: state.bound }),
    };
  }

  async #state(judged: Judged, maxErrorRate: number): Promise<EvidenceState> {
    const { evidence } = this.#parts;
    const key = `${evidence.keyOf(judged)} ${maxErrorRate}`;
    const known = this.#states.get(key);
    if (known && performance.now() < known.until) return known.state;
    const state = await evidence.state(judged, maxErrorRate);
    if (this.#states.size > MOST_STATES) this.#states.clear();
    this.#states.set(key, { state, until: performance.now() + STATE_MS });
    return state;
  }
}

/**
 * Labels of a stage's hits are pooled over its callers, options and inputs. Labels by another rule of when two answers agree are other
 * evidence: what one rule counts as right, another may count as wrong.
 */
export const judgedOf = (
  { tenant, pipeline, stage, kind, model, embedder, agree = { by: 'text' } }: CacheRequest,
  fingerprint: string,
): Judged => ({
  tenant,
  pipeline,
  stage,
  of: jsonHash([kind, model, embedder, fingerprint, VERIFIER, agree]).slice(0, 16),
});

/** The evidence of the verifier with a model. Another model, other weights of it or another label are other evidence. */
const besides = (judged: Judged, { entailment: pool }: CacheVerifier, identity: string): Judged => ({
  ...judged,
  with: { pool, of: jsonHash([FUSION, identity]).slice(0, 16) },
});
