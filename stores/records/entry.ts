import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { limited } from '../../runtime/limited.js';
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

/** How long the artifact store is waited for, in milliseconds: less than Temporal waits for the activities that read an outcome. */
const LONGEST_READ_MS = 8_000;

/**
 * The outcome in the entry of a call that has succeeded. Throws `RECORD_GONE` if it is not there any more, and `STORE_UNAVAILABLE`; with `recorded`
 * in its details: the call has ended.
 * @param at where the entry is
 * @param withinMs how long the artifact store is waited for at most, in milliseconds; eight seconds in any case
 */
export async function outcomeIn(
  entry: Entry,
  { tenant }: Pick<StageCall, 'tenant'>,
  at: CallAt,
  spill: Spill | undefined,
  withinMs = LONGEST_READ_MS,
): Promise<StageOutcome> {
  const { served, output, digest } = entry;
  try {
    if (!served || output === undefined) {
      throw new MillraceError('RECORD_GONE', `the record of the run "${at.root}" has no outcome of an ended call`);
    }
    const read = () => restoredValue(output, { tenant, spill, name: outputName({ ...at, digest }) });
    const ms = Math.min(withinMs, LONGEST_READ_MS);
    const value = isStored(entry) ? await limited(ms, new AbortController().signal, read) : await read();
    return { ...served, output: value as JsonObject };
  } catch (error) {
    throw unreadable(error);
  }
}

/** The failure to read the outcome of a call that has ended. */
function unreadable(error: unknown): MillraceError {
  const code = error instanceof MillraceError && error.code === 'RECORD_GONE' ? 'RECORD_GONE' : 'STORE_UNAVAILABLE';
  const message = `its call has ended, and the recorded outcome cannot be read: ${messageOf(error)}`;
  return new MillraceError(code, message, { recorded: true }, { cause: error });
}
