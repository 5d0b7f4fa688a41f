import type { Json, JsonObject } from '../../pipelines/json.js';
import { bytesOf, MOST_BYTES, MOST_PAYLOAD_BYTES } from '../../pipelines/json-limits.js';
import type { Carried, RunContext } from '../../pipelines/run/index.js';
import type { StageError } from '../../pipelines/run/stage-error.js';
import type { RunHost } from './host.js';
import type { Memo } from './memo.js';
import { fittingRows } from './shorter-rows.js';
import { carriedMisfit } from './sizes.js';
import type { StageTable } from './stage-table.js';

interface Parts {
  readonly input: JsonObject;
  readonly context: RunContext;
  readonly host: Pick<RunHost, 'carriedBytes'>;
  readonly startedAt: number;
  readonly memo: Memo;
  readonly table: StageTable;
}

interface Next {
  readonly carried: Omit<Carried, 'decided'>;
  /** Why the history cannot begin with it; names the step that has the most. */
  readonly misfit: StageError | undefined;
  /** The same by what has ended alone, which is all that earlier releases looked at. */
  readonly misfitBefore: StageError | undefined;
}

/**
 * What a run takes into a new history, with its stage table shortened where it has to be. The history begins with the input, the plan and all of
 * this in one message, whose size is limited.
 */
export function nextHistory({ input, context, host, startedAt, memo, table }: Parts): Next {
  const { carried: _, ...rest } = context;
  const left = MOST_PAYLOAD_BYTES - sizeOf(input) - sizeOf(rest) - (host.carriedBytes?.() ?? 0) - 1_000;
  const done = memo.toJson();
  const rows = fittingRows(table.rows, left - sizeOf({ done }));
  return {
    carried: { startedAt, done, rows },
    misfit: carriedMisfit({ done }, Math.min(MOST_BYTES, left - sizeOf(rows))),
    misfitBefore: carriedMisfit({ done }, MOST_BYTES),
  };
}

const sizeOf = (value: object): number => bytesOf(value as unknown as Json);
