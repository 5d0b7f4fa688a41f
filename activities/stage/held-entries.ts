import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { resolve } from '../../pipelines/plan/index.js';
import type { EntryRef, StageCall } from '../../pipelines/run/index.js';
import type { Moment } from '../../runtime/moment.js';
import type { StepStreams } from '../streams/index.js';

/** The streams of a run as a worker has them. */
export interface StreamsOf {
  stepStreams?(run: string, signal: AbortSignal, begunAt?: Moment): StepStreams | undefined;
}

/** Entries of channels of a run, by their sources. Throws `STREAM_LOST`. */
export async function valuesOfEntries(
  runner: StreamsOf,
  entries: Readonly<Record<string, EntryRef>>,
  run: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Json>> {
  return await streamsOf(runner, run, signal).valuesOf(entries);
}

/** The streams of a run. Throws `STREAM_LOST` in a worker without channels. */
export function streamsOf(runner: StreamsOf, run: string, signal: AbortSignal, begunAt?: Moment): StepStreams {
  const streams = runner.stepStreams?.(run, signal, begunAt);
  if (!streams) throw new MillraceError('STREAM_LOST', 'this worker has no channels', { final: true });
  return streams;
}

/** A call with its whole input, and as a call of its kind: the input's entries of channels are read. */
export async function withEntries(
  runner: StreamsOf,
  input: JsonObject,
  { held, ...call }: StageCall,
  run: string,
  signal: AbortSignal,
): Promise<readonly [input: JsonObject, call: StageCall]> {
  if (!held) return [input, call];
  const whole = resolve(input, await valuesOfEntries(runner, held.entries, run, signal));
  if (!isJsonObject(whole)) {
    const message = `stage "${call.stage}": its input is not an object`;
    throw new MillraceError('INVALID_INPUT', message, { stage: call.stage });
  }
  return [whole, { ...call, kind: held.kind }];
}
