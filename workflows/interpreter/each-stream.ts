import type { Json } from '../../pipelines/json.js';
import { type EachPlan, resolve, type Scope } from '../../pipelines/plan/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { channelsOf } from './call.js';
import { type Ended, each, item, valuesOf } from './each.js';
import { OrderedPieces } from './ordered-pieces.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { isLost } from './streams.js';

/** An `each` whose items are read as a stream, or whose values are, where the interpreter has channels; any other as ever. */
export const eachEntry = (run: Run, step: EachPlan, scope: Scope, at: At): Promise<Json | Stopped> =>
  at.reads || (step.streamed && at.host.pieces) ? streamed(run, step, scope, at) : each(run, step, scope, at);

/**
 * Runs the graph for each item as soon as it is there, `concurrency` items at a time, and passes its values on in the items' order. Only
 * where the interpreter has channels: in the worker, so no history is made of the items.
 */
async function streamed(run: Run, step: EachPlan, scope: Scope, outer: At): Promise<Json | Stopped> {
  // What is read as a stream, or was, are the items, and nothing inside them.
  const { reads, lost: _, ...at } = outer;
  const path = `${at.prefix}${step.id}`;
  const { pieces } = at.host;
  const { over } = channelsOf(step, path);
  if (!pieces) throw new StageError('INTERNAL', `"${step.id}" runs where no streams are`, { stage: step.id });
  const out = step.streamed && (await OrderedPieces.open(pieces, path, run.context.plan.deadlineMs));
  const entries = reads && over ? pieces.read(over, path) : listed(step, scope);
  const ended: (Ended | undefined)[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  /** One lane after the other: entries are numbered in order. */
  const take = (): Promise<{ readonly i: number; readonly value: Json } | undefined> => {
    const mine = turn.then(async () => {
      const next = await entries.next();
      return next.done ? undefined : { i: ended.push(undefined) - 1, value: next.value };
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  const lane = async (): Promise<void> => {
    for (let one = await take(); one !== undefined; one = await take()) {
      const { i, value } = one;
      const known = at.memo.below(`${step.id}[${i}]`).value as Ended | undefined;
      const end = known ?? (await item(run, step, scope, at, i, value));
      ended[i] = end;
      if (end === undefined) return;
      if (out) await out.put(i, valuesOf(step, end));
    }
  };
  try {
    const lanes = Array.from({ length: step.concurrency }, lane);
    // Items that are under way end before the list is taken instead, which would begin them again.
    await Promise.all(lanes).catch(async (error: unknown) => {
      if (isLost(error)) await Promise.allSettled(lanes);
      throw error;
    });
    if (ended.some((end) => end === undefined)) return STOPPED;
    if (out) await out.end();
    return (ended as Ended[]).flatMap((end) => valuesOf(step, end));
  } finally {
    if (out) out.close();
    // A reader that is left between two entries listens for more for as long as the process lives. Not awaited: a read may be under way.
    void entries.return?.(undefined);
  }
}

async function* listed({ id, over }: EachPlan, scope: Scope): AsyncGenerator<Json, void> {
  const list = resolve(over, scope) ?? [];
  if (!Array.isArray(list)) throw new StageError('INVALID_INPUT', `"${id}" requires a list`, { stage: id });
  yield* list as readonly Json[];
}
