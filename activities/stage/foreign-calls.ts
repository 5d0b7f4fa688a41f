import { isErrorCode, MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { notJson } from '../../pipelines/json-limits.js';
import type {
  ForeignEnd,
  ForeignOutcome,
  ForeignStart,
  StageCall,
  StageOutcome,
  TokenUsage,
} from '../../pipelines/run/index.js';
import { momentAgo } from '../../runtime/moment.js';
import { asThrown } from '../../stores/records/index.js';
import { fitted } from '../connectors/json-schema.js';
import { type PassingOn, type ProducingParts, passOnEntries } from '../streams/index.js';
import { ASKED, goneFor, isRecorded } from './asked-again.js';
import { CallReport, type PublicFailure, type ReportParts } from './call-report.js';
import { keepable, unfit } from './stage-output.js';

export interface ForeignParts extends ReportParts {
  /** Channels between stages. Absent: what a call yields is read when it has ended. */
  readonly streams?: ProducingParts;
}

/**
 * What Millrace does around a call that another worker of Temporal serves: the run's workflow makes the call itself,
 * and this worker checks and reports it, as `StageRunner` does for calls of its own. The attempts are Temporal's: all of
 * them together are one here.
 */
export class ForeignCalls {
  readonly #parts: ForeignParts;

  constructor(parts: ForeignParts) {
    this.#parts = parts;
  }

  /**
   * Before the call: its outcome in the run that this one resumes, or the checked input. Throws `INVALID_INPUT`, the failure that the call had in that
   * run, and what `RunRecords.before` throws, and `RECORD_GONE` if its outcome there cannot be read for as long as it is asked for.
   * @param since when it was first asked, in milliseconds since 1970
   */
  async before(
    run: string,
    input: JsonObject,
    call: StageCall,
    signal: AbortSignal = new AbortController().signal,
    since = Date.now(),
  ): Promise<ForeignStart> {
    const begunAt = momentAgo();
    const report = this.#report(run, input, call);
    try {
      const before = await this.#parts.records?.before(run, call, input);
      if (before && 'failure' in before) throw asThrown(before.failure);
      if (before) {
        const passed = await this.#passOn(before.outcome, { run, call, signal, begunAt });
        return { outcome: await report.done(passed) };
      }
      // What is read from a channel is not there yet: each entry is checked when it is.
      const read = Object.keys(call.reads ?? {});
      const whole = read.length === 0 ? input : { ...input, ...Object.fromEntries(read.map((field) => [field, []])) };
      const fit = fitted(whole, schemaOf(call, 'input'));
      if ('fields' in fit) throw invalidFields('INVALID_INPUT', fit.fields, { stage: call.stage });
      if (fit.data === whole) return {};
      const left = Object.entries(fit.data as JsonObject).filter(([field]) => !read.includes(field));
      return { input: Object.fromEntries(left) };
    } catch (thrown) {
      const isOver = isRecorded(thrown) && Date.now() - since >= ASKED.mostMs;
      const error = isOver ? goneFor(thrown) : thrown;
      await report.failed(error, ...publicFailure(error));
      throw error;
    }
  }

  /**
   * After the call: checks and unwraps its result, and reports its end. Throws `INVALID_OUTPUT` and `RESULT_TOO_LARGE`.
   * Null for a call that failed.
   */
  async after(
    run: string,
    input: JsonObject,
    call: StageCall,
    ended: ForeignEnd,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ForeignOutcome | null> {
    const begunAt = momentAgo();
    const report = this.#report(run, input, call, true);
    try {
      if ('failure' in ended) {
        const { code, message } = ended.failure;
        await report.failed(
          new MillraceError(isErrorCode(code) ? code : 'INTERNAL', message),
          code,
          ended.failure,
          ended,
        );
        return null;
      }
      const { result } = ended;
      const { output, usage, conversions } = unwrapped(call, result);
      // Before the check: one of a larger value takes too long.
      keepable(output as JsonObject, call.stage);
      const fit = fitted(output, schemaOf(call, 'output'));
      if ('fields' in fit) throw invalidFields('INVALID_OUTPUT', fit.fields, { stage: call.stage });
      this.#count(call.model, usage);
      const whole = keepable(fit.data as JsonObject, call.stage);
      const served: Omit<StageOutcome, 'attempt' | 'queueMs' | 'runMs'> = {
        output: whole,
        endpoint: 'temporal',
        device: String(call.with.queue),
        cache: 'off',
        ...(usage && { usage }),
        ...(conversions && { conversions }),
      };
      const passed = await this.#passOn(served, { run, call, signal, begunAt });
      const { output: given, ...outcome } = await report.done(passed, ended);
      return given === output ? outcome : { ...outcome, output: given };
    } catch (error) {
      await report.failed(error, ...publicFailure(error), ended);
      throw error;
    }
  }

  /** What other stages read of it while it is made must be there when it has ended. */
  async #passOn<T extends Pick<StageOutcome, 'output'>>(outcome: T, about: PassingOn): Promise<T> {
    const { streams } = this.#parts;
    if (!streams || !about.call.writes) return outcome;
    return { ...outcome, output: await passOnEntries(streams, about, outcome) };
  }

  #count(model: string, { inputTokens, outputTokens }: TokenUsage = {}): void {
    const { usage } = this.#parts.metrics;
    if (inputTokens !== undefined) usage.inc({ model, unit: 'input_tokens' }, inputTokens);
    if (outputTokens !== undefined) usage.inc({ model, unit: 'output_tokens' }, outputTokens);
  }

  #report(run: string, input: JsonObject, call: StageCall, again = false): CallReport {
    return new CallReport(this.#parts, { run, call, input, attempt: 1, queueMs: 0, again });
  }
}

const schemaOf = (call: StageCall, of: 'input' | 'output'): JsonObject => call.with[of] as JsonObject;

function publicFailure(error: unknown): [code: string, shown: PublicFailure] {
  if (error instanceof MillraceError) return [error.code, { code: error.code, message: error.message }];
  return ['INTERNAL', { code: 'INTERNAL', message: 'an error inside the worker' }];
}

interface Unwrapped {
  readonly output: Json;
  readonly usage?: TokenUsage;
  readonly conversions?: readonly string[];
}

/** The parts of a result. Throws `INVALID_OUTPUT` for one that is not JSON or not as its protocol requires. */
function unwrapped({ with: { protocol }, stage }: StageCall, given: Json): Unwrapped {
  const result = given ?? null;
  const wrong = notJson(result);
  if (wrong) throw unfit(wrong, stage);
  if (protocol !== 'millrace') return { output: result };
  const fail = (field: string, message: string) => invalidFields('INVALID_OUTPUT', [{ field, message }], { stage });
  if (!isJsonObject(result) || result.output === undefined)
    throw fail('output', 'is missing: the result must be { output, usage?, conversions? }');
  const { output, usage, conversions } = result;
  const texts = conversions ?? [];
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string'))
    throw fail('conversions', 'must be a list of texts');
  return {
    output,
    ...(usage != null && { usage: usageOf(usage, fail) }),
    ...(texts.length > 0 && { conversions: texts.slice(0, MOST_CONVERSIONS) as readonly string[] }),
  };
}

/** The stage table travels with the run's result. */
const MOST_CONVERSIONS = 20;

const TOKENS = ['inputTokens', 'outputTokens'] as const;

function usageOf(usage: Json, fail: (field: string, message: string) => MillraceError): TokenUsage {
  if (!isJsonObject(usage)) throw fail('usage', 'must be an object');
  const counts = TOKENS.flatMap((name) => {
    const count = usage[name];
    if (count == null) return [];
    if (!Number.isInteger(count) || Number(count) < 0) throw fail(`usage.${name}`, 'must be a whole number, 0 or more');
    return [[name, count]];
  });
  return Object.fromEntries(counts) as TokenUsage;
}
