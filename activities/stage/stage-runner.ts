import { isAway, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { codeName } from '../../pipelines/stages/index.js';
import type { RunEventLog } from '../../stores/events/index.js';
import { asThrown, type EndedCall, type RunRecords } from '../../stores/records/index.js';
import { type CachingParts, throughCache } from './cached-stage.js';
import { type Attempt, type ServingParts, serveStage } from './serve-stage.js';

export type { Attempt } from './serve-stage.js';

export type StageRunnerParts = ServingParts &
  CachingParts & {
    readonly events: Pick<RunEventLog, 'attempt'>;
    /** Absent: nothing is recorded, and runs cannot be resumed. */
    readonly records?: RunRecords;
  };

/**
 * Runs one attempt of a stage: cache, model call, check of the answer. Every host of the interpreter runs stages
 * through it.
 */
export class StageRunner {
  readonly #parts: StageRunnerParts;

  constructor(parts: StageRunnerParts) {
    this.#parts = parts;
  }

  /** Whether a call needs a version of a function that this worker does not have. */
  lacks({ kind, model, codeVersion }: Pick<StageCall, 'kind' | 'model' | 'codeVersion'>): boolean {
    return kind === 'code' && codeVersion !== undefined && this.#parts.code.get(model, codeVersion) === undefined;
  }

  /** Throws a `MillraceError`, or the reason of `attempt.signal`. */
  async run(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const { metrics, logger, events, records } = this.#parts;
    const started = performance.now();
    const startedAt = Date.now();
    const fields = {
      run: attempt.run,
      pipeline: call.pipeline,
      stage: call.path ?? call.stage,
      tenant: call.tenant,
      model: call.model,
      attempt: attempt.attempt,
    };
    metrics.stageQueueSeconds.observe({ pipeline: call.pipeline, stage: call.stage }, attempt.queueMs / 1_000);
    const measure = (outcome: string): number => {
      const runMs = performance.now() - started;
      const { pipeline, stage, kind, model } = call;
      metrics.stageSeconds.observe({ pipeline, stage, kind, model, outcome }, runMs / 1_000);
      return Math.round(runMs);
    };
    const queueMs = Math.round(attempt.queueMs);
    // A stage that waits for a server comes here repeatedly; the event is sent once.
    const waited = (attempt.tried?.waitedMs ?? 0) > 0;
    const published = events.attempt(attempt.run, call, attempt.attempt, waited);
    const record = (result: EndedCall['result']): Promise<void> | undefined => {
      const { run, attempt: number } = attempt;
      return records?.keep({ run, call, input, attempt: number, startedAt, endedAt: Date.now(), result });
    };
    try {
      const before = await records?.before(attempt.run, call, input);
      if (before && 'failure' in before) throw asThrown(before.failure);
      // The cache must not answer for a function body that this worker does not have.
      if (!before && this.lacks(call)) {
        throw new MillraceError('CODE_NOT_FOUND', `this worker has no code ${codeName(call.model, call.codeVersion)}`);
      }
      const serve = () => serveStage(this.#parts, input, call, attempt, published?.delta);
      const served = before?.outcome ?? (await throughCache(this.#parts, call, attempt, serve));
      const runMs = measure('ok');
      if (published && !published.hasText && typeof served.output.text === 'string')
        published.delta(served.output.text);
      const outcome = { ...served, attempt: attempt.attempt, queueMs, runMs };
      // Both are sent to Redis at once: the record exists before the end is visible to followers.
      await Promise.all([record({ outcome }), published?.finished(served.cache, runMs)]);
      const { endpoint, cache, conversions, hedged } = served;
      const resumed = before !== undefined || undefined;
      logger.info({ ...fields, endpoint, cache, queueMs, runMs, conversions, hedged, resumed }, 'stage done');
      return outcome;
    } catch (error) {
      if (error instanceof MillraceError && isAway(error) && call.patienceMs !== 0 && !attempt.signal.aborted) {
        if (waited) throw error;
        logger.warn({ ...fields, code: error.code, error: error.message }, 'stage waits for a server that is away');
        await published?.waitingFor(error.details.pool ?? call.model, error.code, error.message);
        throw error;
      }
      const code = error instanceof MillraceError ? error.code : attempt.signal.aborted ? 'aborted' : 'INTERNAL';
      const runMs = measure(code);
      logger.warn({ ...fields, code, error: messageOf(error), runMs }, 'stage attempt failed');
      const [publicCode, message] = publicFailure(error, attempt.signal);
      const failed = error instanceof MillraceError ? record({ failure: { code: publicCode, message } }) : undefined;
      await Promise.all([failed, published?.failed(publicCode, message)]);
      throw error;
    }
  }
}

/** The failure as followers of the run see it; an unexpected error's message may contain paths or hosts. */
function publicFailure(error: unknown, signal: AbortSignal): [code: string, message: string] {
  const known = [signal.aborted ? signal.reason : undefined, error].find((each) => each instanceof MillraceError);
  if (known) return [known.code, known.message];
  return signal.aborted ? ['RUN_CANCELLED', 'the stage was aborted'] : ['INTERNAL', 'an error inside the worker'];
}
