import type { JsonObject } from '../../pipelines/json.js';
import { isStage, type StagePlan, type Step, streamsInto } from '../../pipelines/plan/index.js';
import { isInline } from '../../pipelines/plan/segments.js';
import type { EntryRef } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { ENTRY_LOST, holds, type RunHost } from './host.js';
import type { At, Begun, Sources } from './state.js';

/**
 * The `each` steps of a graph that read and write streams themselves; undefined if none does. In a workflow these are the ones whose
 * items it runs: of those in a segment the worker's interpreter does it. Decided once, when the graph begins: on replay the answer
 * to whether the change holds may differ later in the same graph.
 */
export function eachesOf(steps: readonly Step[], host: RunHost): ReadonlySet<string> | undefined {
  if (host.streams !== true || !host.pieces) return undefined;
  const eaches = steps.filter(
    (step) =>
      step.kind === 'each' &&
      !isStage(step) &&
      (step.streams !== undefined || step.streamed !== undefined) &&
      !(host.runSegment && isInline(step)),
  );
  if (eaches.length === 0 || !holds(host, 'eaches-stream-on-queues')) return undefined;
  return new Set(eaches.map(({ id }) => id));
}

/** The steps whose channels a step reads: all that it reads as streams, if all of them run beside it. */
export function channelsRead(
  step: Step,
  { begun, eaches, host }: Pick<At, 'begun' | 'eaches' | 'host'>,
): readonly string[] {
  if (!begun || !mayStream(step, host, eaches)) return NONE;
  const sources = streamsInto(step).map(({ from }) => from);
  return sources.every((source) => begun.has(source)) ? sources : NONE;
}

const NONE: readonly string[] = [];

/** Whether a step reads and writes channels on a host: an `each` does so itself, by its interpreter. */
const mayStream = (step: Step, host: RunHost, eaches: At['eaches']): boolean =>
  host.streams === true && (isStage(step) || eaches?.has(step.id) === true);

/** When each of the steps has begun whose streams others of them read; undefined if there are none. */
export function beginningsOf(
  steps: readonly Step[],
  host: RunHost,
  eaches: At['eaches'],
): ReadonlyMap<string, Begun> | undefined {
  if (host.streams !== true) return undefined;
  const read = new Set(steps.flatMap(streamsInto).map(({ from }) => from));
  // One that has ended before a segment begins is none of its steps.
  const streamed = steps.flatMap((step) => (read.has(step.id) && mayStream(step, host, eaches) ? [step.id] : []));
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

/**
 * Whether streams of a graph may stop for a new history: those of an `each` whose items the workflow runs, and those of an agent, which stops
 * between two turns.
 */
export const streamsMayStop = (steps: readonly Step[], begun: At['begun'], eaches: At['eaches']): boolean =>
  eaches !== undefined || steps.some(({ id, kind }) => kind === 'agent' && begun?.has(id) === true);

/** The input without the fields that are read from channels. */
export function withoutStreams(stage: StagePlan, input: JsonObject): JsonObject {
  const streams = stage.streams ?? {};
  return Object.fromEntries(Object.entries(input).filter(([field]) => !Object.hasOwn(streams, field))) as JsonObject;
}

/** Whether a step can still run with the collected values: the store has lost its channel. */
export const isLost = (error: unknown): error is StageError =>
  error instanceof StageError && (error.code === 'STREAM_LOST' || error.code === ENTRY_LOST);

/**
 * Whether what is under way beside a failed step ends before its graph fails: the item that has lost its entry begins again, and would make it a second
 * time. What has ended by then counts.
 */
export const restEndsFirst = (error: unknown, { entries, host }: Pick<At, 'entries' | 'host'>): boolean =>
  entries !== undefined && isEntryLost(error) && holds(host, 'ended-items-stay');

/** The first failure of ended work that is no lost stream; undefined if there is none. It comes before a lost one: what has failed does not begin again. */
export const failureBeside = (ends: readonly PromiseSettledResult<unknown>[]): unknown =>
  ends.find((end): end is PromiseRejectedResult => end.status === 'rejected' && !isLost(end.reason))?.reason;

/**
 * The ends of the steps of a graph. A step that reads the stream of another one is over when that has failed: it would wait for the rest until its time
 * ends.
 */
export function endsOf(
  steps: readonly Step[],
  ended: ReadonlyMap<string, Promise<boolean>>,
  at: Pick<At, 'begun' | 'eaches' | 'host'>,
): Iterable<Promise<unknown>> {
  const ends = new Map<string, Promise<unknown>>();
  for (const step of steps) {
    const sources = channelsRead(step, at).map((source) => ends.get(source));
    ends.set(step.id, Promise.all([ended.get(step.id), ...sources]));
  }
  return ends.values();
}

/** Whether an item has lost its entry: no step of it can go on, and its `each` takes the collected list. */
export const isEntryLost = (error: unknown): error is StageError =>
  error instanceof StageError && error.code === ENTRY_LOST;

/** The failure of a call with entries of channels, as nothing below their `each` handles it. */
export const entryLost = ({ message, details }: StageError): StageError => new StageError(ENTRY_LOST, message, details);

/**
 * The stage with limits for its whole stream: those of the policy apply to each entry, the share of the deadline to all
 * of them together.
 */
export function forStream(stage: StagePlan, shareMs: number): StagePlan {
  const { policy } = stage;
  const whole = Math.max(1, Math.floor(shareMs));
  return { ...stage, policy: { ...policy, timeout: { ...policy.timeout, attemptMs: whole, totalMs: whole } } };
}

/** What makes the streams that a step reads, by the ends of its steps. Their failures are handled by the graph. */
export function sourcesOfReader(step: Step, ended: ReadonlyMap<string, Promise<boolean>>): Sources {
  let left = 0;
  let stopped = false;
  let halt: () => void = () => undefined;
  for (const { from } of streamsInto(step)) {
    left += 1;
    ended.get(from)?.then(
      (whole) => {
        left -= 1;
        if (whole) return;
        stopped = true;
        halt();
      },
      () => undefined,
    );
  }
  return {
    over: () => left === 0,
    onStop(next) {
      halt = next;
      if (stopped) next();
    },
  };
}

/** Those of some sources that are entries of channels; undefined if none is. */
export function heldOf(
  sources: readonly string[],
  { entries }: Pick<At, 'entries'>,
): Readonly<Record<string, EntryRef>> | undefined {
  if (!entries) return undefined;
  const held = sources.flatMap((source) => {
    const entry = entries.get(source);
    return entry ? [[source, entry] as const] : [];
  });
  return held.length === 0 ? undefined : Object.fromEntries(held);
}
