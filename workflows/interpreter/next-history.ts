import type { Json, JsonObject } from '../../pipelines/json.js';
import { bytesOf, MOST_BYTES, MOST_PAYLOAD_BYTES } from '../../pipelines/json-limits.js';
import type { Carried, RunContext } from '../../pipelines/run/index.js';
import type { RunHost } from './host.js';
import type { Memo } from './memo.js';
import { fittingRows } from './shorter-rows.js';
import { checkCarried } from './sizes.js';
import type { StageTable } from './stage-table.js';

/** For what ends between the question whether everything fits and the end of the history, in bytes. */
const RESERVE_BYTES = 100_000;
/** The answer is looked for again after so many questions: it takes milliseconds where there is much. */
const ASKED_AGAIN = 100;

interface Parts {
  readonly input: JsonObject;
  readonly context: RunContext;
  readonly host: Pick<RunHost, 'carriedBytes'>;
  readonly startedAt: number;
  readonly memo: Memo;
  readonly table: StageTable;
}

/** What a run takes into a new history. It begins with the input, the plan and all of this in one message, whose size is limited. */
export class NextHistory {
  readonly #parts: Parts;
  #questions = 0;
  #fits = true;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whether a new history could hold what the run has now. */
  fits(): boolean {
    if (this.#questions++ % ASKED_AGAIN > 0) return this.#fits;
    const { memo, table } = this.#parts;
    const done = sizeOf({ done: memo.toJson() });
    const rows = sizeOf(fittingRows(table.rows, 0));
    const left = this.#leftBytes();
    this.#fits = done + RESERVE_BYTES <= Math.min(MOST_BYTES, left - rows);
    return this.#fits;
  }

  /** The stage table is shortened where it has to be. Throws `RESULT_TOO_LARGE` naming the step that has the most. */
  carried(): Omit<Carried, 'decided'> {
    const { startedAt, memo, table } = this.#parts;
    const done = memo.toJson();
    const left = this.#leftBytes();
    const rows = fittingRows(table.rows, left - sizeOf({ done }));
    checkCarried({ done }, Math.min(MOST_BYTES, left - sizeOf(rows)));
    return { startedAt, done, rows };
  }

  /** What there is beside the rest of the arguments. */
  #leftBytes(): number {
    const { input, context, host } = this.#parts;
    const { carried: _, ...rest } = context;
    return MOST_PAYLOAD_BYTES - sizeOf(input) - sizeOf(rest) - (host.carriedBytes?.() ?? 0) - 1_000;
  }
}

const sizeOf = (value: object): number => bytesOf(value as unknown as Json);
