import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { type CallAt, type InlineValue, type KeptValue, outputName, restoredValue } from './kept-value.js';
import type { Failure } from './record.js';
import type { Spill } from './spill.js';

/** A call's entry as stored in Redis. */
export interface Entry {
  readonly path: string;
  readonly stage: string;
  readonly kind: string;
  readonly model: string;
  /** Version of a `code` stage's function, if it has one. */
  readonly codeVersion?: string;
  /** The plan's version. */
  readonly version: string;
  readonly attempt: number;
  readonly digest: string;
  /** Nothing reads it. Absent: it is large, or the pipeline keeps none. */
  readonly input?: InlineValue;
  readonly output?: KeptValue;
  readonly served?: Omit<StageOutcome, 'output'>;
  readonly failure?: Failure;
  readonly startedAt: number;
  readonly endedAt: number;
}

export const entryOf = (text: string | null | undefined): Entry | undefined =>
  text == null ? undefined : (JSON.parse(text) as Entry);

/** Whether its output is in the artifact store, and not in the record itself. */
export const isStored = ({ output }: Entry): boolean => output !== undefined && !('json' in output);

/**
 * The outcome in the entry of a call that has succeeded. Throws `RECORD_GONE` if it is not there any more, and `STORE_UNAVAILABLE`.
 * @param at where the entry is
 */
export async function outcomeIn(
  { served, output, digest }: Entry,
  { tenant }: Pick<StageCall, 'tenant'>,
  at: CallAt,
  spill: Spill | undefined,
): Promise<StageOutcome> {
  if (!served || output === undefined) {
    throw new MillraceError('RECORD_GONE', `the record of the run "${at.root}" has no outcome of an ended call`);
  }
  const name = outputName({ ...at, digest });
  return { ...served, output: (await restoredValue(output, { tenant, spill, name })) as JsonObject };
}
