import type { Json } from '../../pipelines/json.js';
import { computesWith, type EachPlan, type Scope } from '../../pipelines/plan/index.js';
import { channelPath } from '../../pipelines/run/channel-path.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { channelsOf } from './call.js';
import { type Ended, each, endOf, item, piecesOf, takeList, takesList, valuesOf } from './each.js';
import { holds, type Piece, type PieceReader } from './host.js';
import { OrderedPieces } from './ordered-pieces.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { failureBeside, isLost } from './streams.js';
import { itemTurn, stops } from './value.js';

/** An `each` whose items are read as a stream, or whose values are, where the interpreter has channels; any other as ever. */
export const eachEntry = (run: Run, step: EachPlan, scope: Scope, at: At): Promise<Json | Stopped> =>
  at.reads || (step.streamed && at.eaches?.has(step.id)) ? streamed(run, step, scope, at) : each(run, step, scope, at);

/**
 * Runs the graph for each item as soon as it is there, `concurrency` items at a time, and passes its values on in the items' order. In a
 * worker the interpreter has the items; in a workflow it has their places in the channel, unless it computes with them itself.
 */
async function streamed(run: Run, step: EachPlan, scope: Scope, outer: At): Promise<Json | Stopped> {
  // What is read as a stream, or was, are the items, and nothing inside them.
  const { reads, lost, sources, ...at } = outer;
  if (lost) takeList(at);
  if (reads && takesList(at)) throw ofList(step);
  const path = `${at.prefix}${step.id}`;
  const { pieces } = at.host;
  const { over: channel } = channelsOf(step, path, run.context);
  if (!pieces) throw new StageError('INTERNAL', `"${step.id}" runs where no streams are`, { stage: step.id });
  const leftMs = () => {
    const left = run.deadline.shareOf(step.id);
    if (left <= 0) throw run.deadline.exceeded(step.id);
    return left;
  };
  const by = { step: step.id, leftMs };
  const ended: (Ended | undefined)[] = [];
  let first = 0;
  const needed = () => {
    while (first < ended.length && ended[first] !== undefined) first += 1;
    return first;
  };
  const over = () => sources?.over() ?? true;
  const values = computesWith(step.body, `${step.id}/item`);
  const list = reads && channel ? undefined : piecesOf(step, scope, outer);
  const writes = { ...by, runMs: run.context.plan.deadlineMs };
  const out = step.streamed && (await OrderedPieces.open(pieces, channelPath(path, run.context), writes));
  const entries = list || !channel ? readerOf(list ?? []) : pieces.read(channel, { ...by, path, values, needed, over });
  let halted = false;
  let whole = false;
  const halt = () => {
    halted = true;
    entries.close();
  };
  sources?.onStop(halt);
  let turn: Promise<unknown> = Promise.resolve();
  /** One lane after the other: entries are numbered in order. */
  const take = (): Promise<{ readonly i: number; readonly piece: Piece } | undefined> => {
    const mine = turn.then(async () => {
      const piece = halted || whole ? undefined : await entries.next();
      if (piece) return { i: ended.push(undefined) - 1, piece };
      whole ||= !halted;
      return undefined;
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  const lane = async (): Promise<void> => {
    // A history that is full ends when the producer has ended: until then items go on, up to a limit.
    while (!halted && !stops(run, at, !over())) {
      const turn = itemTurn(run, step, at, () => halted || whole);
      if (turn !== undefined) {
        await turn;
        // There is no item for its turn.
        if (whole) return;
        continue;
      }
      const one = await take();
      if (one === undefined) return;
      const { i, piece } = one;
      const known = endOf(step, at, i, piece, lost);
      if (reads && known && known.of === undefined) throw ofList(step);
      const end = known ?? (await item(run, step, scope, at, i, piece));
      ended[i] = end;
      if (end === undefined) return;
      const passed = out ? out.put(i, valuesOf(step, end)) : undefined;
      // What an earlier history has passed on is compared all at once.
      if (known) passed?.catch(() => undefined);
      else await passed;
    }
  };
  try {
    const lanes = Array.from({ length: step.concurrency }, lane);
    // Items that are under way end before the list is taken instead, which would begin them again.
    await Promise.all(lanes).catch(async (error: unknown) => {
      if (!isLost(error)) throw error;
      halt();
      const failure = failureBeside(await Promise.allSettled(lanes));
      throw failure !== undefined && holds(at.host, 'ended-items-stay') ? failure : error;
    });
    const stopped = !whole || ended.some((end) => end === undefined);
    if (out) await (stopped ? out.settled() : out.end());
    if (stopped) return STOPPED;
    return (ended as Ended[]).flatMap((end) => valuesOf(step, end));
  } catch (error) {
    throw error instanceof StageError && run.deadline.isOver(error) ? run.deadline.exceeded(step.id) : error;
  } finally {
    // A reader that is left between two entries listens for more for as long as the process lives.
    entries.close();
    if (out) out.close();
  }
}

/** An earlier history, or release, has run items of the collected list, which may be cut elsewhere than the stream: the others are of it too. */
const ofList = ({ id }: EachPlan): StageError =>
  new StageError('STREAM_LOST', `"${id}" has begun with the collected list`, { stage: id });

/** Reads a list as if it were a stream. */
function readerOf(list: readonly Piece[]): PieceReader {
  let next = 0;
  return { next: async () => list[next++], close: () => undefined };
}
