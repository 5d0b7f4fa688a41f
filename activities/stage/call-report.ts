import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { wellFormed } from '../../pipelines/well-formed.js';
import { momentAgo } from '../../runtime/moment.js';
import type { RunEventLog } from '../../stores/events/index.js';
import type { EndedCall, RunRecords } from '../../stores/records/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';

/** Longest message of a failure, in UTF-16 units: servers write it. Temporal drops code and stage of a larger failure. */
export const LONGEST_MESSAGE = 5_000;

/** A message as it is kept and told. A cut may leave half of a character, over which Temporal's worker would end. */
export const shortMessage = (message: string): string =>
  message.length > LONGEST_MESSAGE ? wellFormed(message.slice(0, LONGEST_MESSAGE)) : message;

export interface ReportParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly events: Pick<RunEventLog, 'attempt'>;
  /** Absent: nothing is recorded, and runs cannot be resumed. */
  readonly records?: RunRecords;
}

export interface Reported {
  readonly run: string;
  readonly call: StageCall;
  readonly input: JsonObject;
  /** From 1. */
  readonly attempt: number;
  readonly queueMs: number;
  /** As an attempt’s. */
  readonly endsAt?: number | undefined;
  /** Its start has been published. */
  readonly again?: boolean;
  /** As an attempt’s. */
  readonly resumeFrom?: Json;
}

/** Reports one attempt of a call wherever it is to be seen: in metrics, log, events for followers and the run's record. */
export class CallReport {
  readonly events: ReturnType<RunEventLog['attempt']>;
  readonly #parts: ReportParts;
  readonly #of: Reported;
  /** What followers have of the text before the attempt adds to it. */
  readonly #before: string;
  readonly #begunAt = momentAgo();

  /** Publishes the start. */
  constructor(parts: ReportParts, of: Reported) {
    this.#parts = parts;
    this.#of = of;
    this.#before = textBefore(of);
    this.events = parts.events.attempt(of.run, of.call, of.attempt, of.again, this.#before);
  }

  get fields() {
    const { run, call, attempt } = this.#of;
    const { pipeline, path, stage, tenant, model } = call;
    return { run, pipeline, stage: path ?? stage, tenant, model, attempt };
  }

  /** @param ran when the call ran, unless it ran since this report was made */
  async done(served: Omit<StageOutcome, 'attempt' | 'queueMs' | 'runMs'>, ran?: Ran): Promise<StageOutcome> {
    const { attempt } = this.#of;
    const queueMs = Math.round(this.#of.queueMs);
    const runMs = this.#measure('ok', ran);
    // Another worker's output may be any JSON.
    const { text } = (served.output as JsonObject | null) ?? {};
    if (this.events && !this.events.hasText && typeof text === 'string') {
      // A cached transcript that differs cannot follow what is told: the whole is in the outcome.
      this.events.delta(text.startsWith(this.#before) ? text.slice(this.#before.length) : '');
    }
    const outcome = { ...served, attempt, queueMs, runMs };
    // Both are sent to Redis at once: the record exists before the end is visible to followers.
    await Promise.all([this.#record({ outcome }, ran), this.events?.finished(served.cache, runMs)]);
    const { endpoint, cache, conversions, hedged, resumed } = served;
    this.#parts.logger.info(
      { ...this.fields, endpoint, cache, queueMs, runMs, conversions, hedged, resumed },
      'stage done',
    );
    return outcome;
  }

  /** @param failure as followers of the run see it */
  async failed(error: unknown, code: string, failure: PublicFailure, ran?: Ran): Promise<void> {
    const shown = { ...failure, message: shortMessage(failure.message) };
    const runMs = this.#measure(code, ran);
    const { at, stack } = error instanceof MillraceError ? error.details : {};
    const fields = { ...this.fields, code, error: shortMessage(messageOf(error)), at, stack, runMs };
    this.#parts.logger.warn(fields, 'stage attempt failed');
    const recorded = error instanceof MillraceError ? this.#record({ failure: shown }, ran) : undefined;
    await Promise.all([recorded, this.events?.failed(shown.code, shown.message)]);
  }

  #measure(outcome: string, ran?: Ran): number {
    const runMs = ran?.runMs ?? performance.now() - this.#begunAt.steadyMs;
    const { pipeline, stage, kind, model } = this.#of.call;
    this.#parts.metrics.stageSeconds.observe({ pipeline, stage, kind, model, outcome }, runMs / 1_000);
    return Math.round(runMs);
  }

  #record(result: EndedCall['result'], ran?: Ran): Promise<void> | undefined {
    const { run, call, input, attempt, endsAt } = this.#of;
    const times = ran
      ? { startedAt: ran.startedAt, endedAt: ran.startedAt + ran.runMs }
      : { startedAt: this.#begunAt.wallMs, endedAt: Date.now(), begunAt: this.#begunAt };
    return this.#parts.records?.keep({ run, call, input, attempt, endsAt, ...times, result });
  }
}

/**
 * The text that an attempt of a recogniser continues, as its connector keeps it in the checkpoint; empty for any other call.
 * The text of a call with a hedge is told at its end only. Where the stage asks for times, a recogniser begins anew behind a checkpoint
 * without them, which a worker of an earlier release has left.
 */
function textBefore({ call, resumeFrom }: Reported): string {
  if (call.kind !== 'transcribe' || call.hedge || !isJsonObject(resumeFrom)) return '';
  const { text, segments } = resumeFrom;
  if (call.with.segments !== undefined && !Array.isArray(segments)) return '';
  return typeof text === 'string' ? text : '';
}

/** When a call ran, in milliseconds. */
export interface Ran {
  readonly startedAt: number;
  readonly runMs: number;
}

/** A failure as followers of the run see it. */
export interface PublicFailure {
  readonly code: string;
  readonly message: string;
}
