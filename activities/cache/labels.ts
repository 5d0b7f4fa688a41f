import type { JsonObject } from '../../pipelines/json.js';
import type { Evidence } from '../../stores/evidence/index.js';
import { boundedLabel } from '../../telemetry/bounded-label.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { agrees } from './agreement.js';
import type { CacheRequest } from './cache-key.js';
import type { Weighed } from './certified.js';
import type { Embedders } from './embedders.js';
import type { Judge, Pair } from './judge.js';

export interface LabelsParts {
  readonly evidence: Evidence;
  readonly embedders: Embedders;
  /** A `chat` pool by name; throws if there is none. Absent: no model judges. */
  readonly judgeFor?: ((name: string) => Judge) | undefined;
  readonly metrics: Metrics;
  /** Called for answers that could not be compared. */
  readonly onFailure: (request: CacheRequest, error: unknown) => void;
}

/** How long a model may take to judge, in milliseconds. */
const JUDGE_MS = 30_000;
/** Pairs that models judge at once, per worker; further ones get no label. */
const MOST_AT_ONCE = 2;

/** A fresh answer beside a cached one that was, or would have been, a hit. */
export interface Comparison {
  readonly request: CacheRequest;
  readonly weighed: Weighed;
  readonly output: JsonObject;
}

/** Labels cached answers right or wrong by comparing them with fresh ones: the evidence of a stage's error rate. */
export class Labels {
  readonly #parts: LabelsParts;
  /** A deployment may have a tenant for each of its users. */
  readonly #labelOf = boundedLabel();
  #judging = 0;

  constructor(parts: LabelsParts) {
    this.#parts = parts;
  }

  /** Never throws. Resolves before a model that judges has replied: no caller waits for that. */
  async add(comparison: Comparison, signal: AbortSignal): Promise<void> {
    if (comparison.request.agree?.by !== 'model') return this.#label(comparison, signal);
    if (this.#judging >= MOST_AT_ONCE) return;
    this.#judging += 1;
    // The call of the stage has ended: its signal says nothing about this one.
    void this.#label(comparison, AbortSignal.timeout(JUDGE_MS)).finally(() => {
      this.#judging -= 1;
    });
  }

  async #label({ request, weighed, output }: Comparison, signal: AbortSignal): Promise<void> {
    const { evidence, embedders, judgeFor, metrics, onFailure } = this.#parts;
    const { maxErrorRate = 0, embedder, agree, verifier, key, pipeline, stage, tenant } = request;
    const { candidate, counts } = weighed;
    try {
      const right = await agrees(output, candidate.entry.output, agree, {
        similarityOf: async (a, b) => {
          const [one, other] = await Promise.all(
            [a, b].map((text) => embedders.vectorOf(embedder, text, request)(signal)),
          );
          return (one as Float32Array).reduce((sum, value, i) => sum + value * (other?.[i] ?? 0), 0);
        },
        judge: async (model, fresh, cached) => {
          const pair: Pair = {
            cached: { question: candidate.entry.text, answer: cached },
            fresh: { question: key, answer: fresh },
          };
          // The label is not urgent: calls that a run waits for come first.
          return judgeFor?.(model).isSame(pair, signal, { tenant, priority: 'batch' });
        },
      });
      if (right === undefined) return;
      for (const { judged, step } of counts) await evidence.label(judged, step, !right, maxErrorRate);
      metrics.cacheLabels.inc({ pipeline, stage, tier: candidate.tier, label: right ? 'right' : 'wrong' });
      const judged = counts[0]?.judged;
      // A stage with a model of entailment is described by the labels that it serves by while the model answers.
      if (judged === undefined || (verifier && !judged.with)) return;
      // A level that many tenants share would be that of the last one.
      if (this.#labelOf(tenant) !== tenant) return;
      const { open, bound } = await evidence.state(judged, maxErrorRate);
      metrics.cacheErrorBound.set({ pipeline, stage, tenant }, bound);
      metrics.cacheOpenStep.set({ pipeline, stage, tenant }, open);
    } catch (error) {
      if (!signal.aborted || agree?.by === 'model') onFailure(request, error);
    }
  }
}
