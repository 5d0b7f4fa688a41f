import {
  CACHED_COLUMN,
  type ContinuousTable,
  cachedEver,
  type DynamicTable,
  inCache,
  type Load,
  quantileAt,
  type StepTimes,
  shortestStep,
  type Table,
} from '../simulator/index.js';
import { isStated, numberAt } from './number-at.js';
import { floorAt, sizeFloor } from './size-floor.js';

/**
 * What a call of a run takes at the least on a server, in milliseconds, by run. It is no shorter whatever the draws and the other calls of its
 * batch: a batch takes as long as its largest member would in a batch of that size, and here the shortest time of the fastest size counts; a prompt
 * takes its shortest time with whatever a prefix cache may have of it; and every step takes as long as the shortest of all, of any number of sequences.
 */
export interface LeastCall {
  readonly whole: (run: number) => number;
  /** Until its first output: an LLM's first token, else the end of the call. */
  readonly first: (run: number) => number;
  /** Until a reader of its stream may have the first piece, and all of them: what passes outside of the device after a token does not count. */
  readonly firstPiece: (run: number) => number;
  readonly lastPiece: (run: number) => number;
  /** For each token after the first; NaN: it has no others. */
  readonly token: (run: number) => number;
  /** Whether it takes as long in every run. */
  readonly isFixed: boolean;
}

/**
 * @param steps of the server: of a stage with a profile of its own these are those of another stage
 * @param piecesAt into how many pieces a run's size is divided, each read by a call; undefined: a call reads all of it
 */
export const leastCall = (
  table: Table,
  load: Load,
  steps: StepTimes | undefined,
  piecesAt: ((run: number) => number) | undefined,
): LeastCall => (table.batching === 'dynamic' ? ofBatch(table, load, piecesAt) : ofSequence(table, load, steps));

function ofBatch(table: DynamicTable, load: Load, piecesAt: ((run: number) => number) | undefined): LeastCall {
  const { call, overheadMs, column, typical } = table;
  const floor = sizeFloor(call, call.batches, (batch, size) => quantileAt(call, batch, size, 0));
  const size = numberAt(load, column, typical);
  const whole = (run: number) => overheadMs + floorAt(floor, piecesAt ? size(run) / piecesAt(run) : size(run));
  const isFixed = piecesAt === undefined && !isStated(load, column);
  return { whole, first: whole, firstPiece: whole, lastPiece: whole, token: () => Number.NaN, isFixed };
}

function ofSequence(table: ContinuousTable, load: Load, steps: StepTimes = table.steps): LeastCall {
  const { overheadMs, prefill, part, routing } = table;
  const tokensIn = numberAt(load, table.columnIn, table.typicalIn);
  const tokensOut = numberAt(load, table.columnOut, table.typicalOut);
  const columns = routing === undefined ? [] : cachedEver(load, table.columnCached ?? CACHED_COLUMN, routing);
  const stepMs = shortestStep(steps);
  // Of a model served apart, one pool processes the prompts, and another takes a step for each token.
  const promptMs = (run: number) => {
    if (part === 'decode') return 0;
    const tokens = tokensIn(run);
    let least = quantileAt(prefill, 1, tokens, 0);
    for (const cached of columns)
      least = Math.min(least, quantileAt(prefill, 1, tokens - inCache(cached, run, tokens), 0));
    return least;
  };
  const more = (run: number) => (part === 'prefill' ? 0 : Math.max(0, tokensOut(run) - 1));
  const firstMs = part === 'decode' ? stepMs : 0;
  // The cache of a prompt that is processed apart moves when all of that call has passed.
  const firstPiece = (run: number) => (part === 'prefill' ? overheadMs : 0) + promptMs(run) + firstMs;
  return {
    whole: (run) => overheadMs + promptMs(run) + firstMs + more(run) * stepMs,
    first: (run) => overheadMs + promptMs(run) + firstMs,
    firstPiece,
    lastPiece: (run) => firstPiece(run) + more(run) * stepMs,
    token: (run) => (more(run) > 0 ? stepMs : Number.NaN),
    isFixed: columns.length === 0 && !isStated(load, table.columnIn) && !isStated(load, table.columnOut),
  };
}
