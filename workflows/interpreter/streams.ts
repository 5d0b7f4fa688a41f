import type { JsonObject } from '../../pipelines/json.js';
import { isStage, type StagePlan, type Step, streamsInto } from '../../pipelines/plan/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import type { RunHost } from './host.js';
import type { At, Begun } from './state.js';

/** The steps whose channels a step reads: all that it reads as streams, if all of them run beside it. */
export function channelsRead(step: Step, { begun, host }: Pick<At, 'begun' | 'host'>): readonly string[] {
  if (!begun || !mayStream(step, host)) return NONE;
  const sources = streamsInto(step).map(({ from }) => from);
  return sources.every((source) => begun.has(source)) ? sources : NONE;
}

const NONE: readonly string[] = [];

/** Whether a step reads and writes channels on a host: an `each` does so itself, by its interpreter. */
const mayStream = (step: Step, host: RunHost): boolean =>
  host.streams === true && (isStage(step) || host.pieces !== undefined);

/** When each of the steps has begun whose streams others of them read; undefined if there are none. */
export function beginningsOf(steps: readonly Step[], host: RunHost): ReadonlyMap<string, Begun> | undefined {
  if (host.streams !== true) return undefined;
  const read = new Set(steps.flatMap(streamsInto).map(({ from }) => from));
  // One that has ended before a segment begins is none of its steps.
  const streamed = steps.flatMap((step) => (read.has(step.id) && mayStream(step, host) ? [step.id] : []));
  if (streamed.length === 0) return undefined;
  return new Map(
    streamed.map((id) => {
      let begin: Begun['begin'] = () => undefined;
      const promise = new Promise<boolean>((resolve) => {
        begin = resolve;
      });
      return [id, { promise, begin }];
    }),
  );
}

/** The input without the fields that are read from channels. */
export function withoutStreams(stage: StagePlan, input: JsonObject): JsonObject {
  const streams = stage.streams ?? {};
  return Object.fromEntries(Object.entries(input).filter(([field]) => !Object.hasOwn(streams, field))) as JsonObject;
}

/** Whether the stage can still run with the collected values: the store has lost its channel. */
export const isLost = (error: unknown): boolean => error instanceof StageError && error.code === 'STREAM_LOST';

/**
 * The stage with limits for its whole stream: those of the policy apply to each entry, the share of the deadline to all
 * of them together.
 */
export function forStream(stage: StagePlan, shareMs: number): StagePlan {
  const { policy } = stage;
  const whole = Math.max(1, Math.floor(shareMs));
  return { ...stage, policy: { ...policy, timeout: { ...policy.timeout, attemptMs: whole, totalMs: whole } } };
}
