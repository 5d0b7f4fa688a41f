import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { LossNote, StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { changesElsewhere } from '../../pipelines/stages/index.js';
import type { StageRunner } from './stage-runner.js';

/**
 * How long a store that cannot be reached is asked again about a call that must not be repeated, in milliseconds: one that fails over is back
 * by then. At most the share of the attempt's time: the rest is for the call.
 */
const ASKED = { mostMs: 30_000, share: 0.5, everyMs: 500 };

interface Asked {
  readonly call: StageCall;
  readonly input: JsonObject;
  /** The run's id. */
  readonly run: string;
  /** Of the attempt before. */
  readonly note: LossNote | undefined;
  /** No attempt is left: without an outcome the call fails. */
  readonly isSpent: boolean;
  readonly beatEveryMs: number;
}

/**
 * What an attempt before this one has recorded and could not report: its worker was lost at that moment, or Temporal was away. It may have been
 * made on another queue. Undefined if there is none, or if the store does not say so: a call that has effects, or has no attempt left, waits for
 * it. Not looked for where the call has entries of channels, which may take longer to read than Temporal waits for a heartbeat. Throws
 * `RECORD_GONE` if the outcome of a call with effects is recorded and cannot be read: the call has ended.
 */
export async function unreported(
  runner: Partial<Pick<StageRunner, 'earlier'>>,
  context: Pick<Context, 'info' | 'heartbeat' | 'cancellationSignal'>,
  { call, input, run, note, isSpent, beatEveryMs }: Asked,
): Promise<StageOutcome | undefined> {
  const { info, cancellationSignal: signal } = context;
  const since = call.since ?? (info.attempt === 1 ? undefined : info.scheduledTimestampMs);
  if (call.held || since === undefined || note?.ended === info.attempt - 1) return undefined;
  const until = performance.now() + Math.min(ASKED.mostMs, info.startToCloseTimeoutMs * ASKED.share);
  // A store that is slow must not count as the loss of this worker.
  const beating = setInterval(() => context.heartbeat(info.heartbeatDetails), beatEveryMs);
  try {
    for (;;) {
      try {
        return await runner.earlier?.(input, call, run, since);
      } catch (error) {
        const recorded = error instanceof MillraceError && error.details.recorded ? error : undefined;
        const hasEffects = changesElsewhere(call);
        // What is gone does not come back.
        const waits = (isSpent || hasEffects) && recorded?.code !== 'RECORD_GONE';
        if (!waits || signal.aborted || performance.now() >= until) {
          if (recorded && hasEffects) throw gone(recorded);
          return undefined;
        }
      }
      await sleep(ASKED.everyMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    clearInterval(beating);
  }
}

const gone = ({ message, details }: MillraceError): MillraceError => new MillraceError('RECORD_GONE', message, details);
