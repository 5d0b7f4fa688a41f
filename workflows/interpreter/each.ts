import type { Json } from '../../pipelines/json.js';
import { mayHaveEffects } from '../../pipelines/plan/effects.js';
import { type EachPlan, resolve, type Scope } from '../../pipelines/plan/index.js';
import type { EntryRef } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { digestOf } from './digest.js';
import { holds, type Piece, type RunHost } from './host.js';
import type { Memo } from './memo.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { failureBeside, restEndsFirst } from './streams.js';
import { graphValue, isFailure, itemTurn, stops } from './value.js';

/** Result of an item. `of`: the digest of the item, if it was read from a stream, whose pieces may differ from the collected list's. */
export type Ended = ({ readonly ok: Json } | { readonly failed: true }) & { readonly of?: string };

/** Runs the graph for each item, `concurrency` items at a time; returns the values in the items' order. */
export async function each(run: Run, step: EachPlan, scope: Scope, outer: At): Promise<Json | Stopped> {
  // How the list was read says nothing of what runs for its items.
  const { lost, sources: _, ...at } = outer;
  if (lost) takeList(at);
  const pieces = piecesOf(step, scope, outer);
  const ended: (Ended | undefined)[] = pieces.map((piece, i) => endOf(step, at, i, piece, lost));
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < pieces.length; i = next++) {
      if (ended[i] !== undefined) continue;
      if (stops(run, at)) return;
      const turn = itemTurn(run, step, at);
      if (turn !== undefined) {
        await turn;
        if (stops(run, at)) return;
      }
      ended[i] = await item(run, step, scope, at, i, pieces[i] as Piece);
    }
  };
  const lanes = Array.from({ length: Math.min(step.concurrency, pieces.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    if (!restEndsFirst(error, at)) throw error;
    next = pieces.length;
    throw failureBeside(await Promise.allSettled(lanes)) ?? error;
  }
  if (ended.some((end) => end === undefined)) return STOPPED;
  return (ended as Ended[]).flatMap((end) => valuesOf(step, end));
}

/** The items of the collected list. After a lost stream their digests tell which of its pieces they are. */
export function piecesOf({ id, over }: EachPlan, scope: Scope, { lost }: Pick<At, 'lost'>): readonly Piece[] {
  const list = resolve(over, scope) ?? [];
  if (!Array.isArray(list)) throw new StageError('INVALID_INPUT', `"${id}" requires a list`, { stage: id });
  return (list as readonly Json[]).map((value) => ({ value, ...(lost && { digest: digestOf(value) }) }));
}

/** What an item adds to the values. */
export function valuesOf({ onFailure }: EachPlan, end: Ended): readonly Json[] {
  if ('ok' in end) return [end.ok];
  return onFailure === 'drop' ? [] : [null];
}

/** Set in the memo of an `each` whose stream was lost. No step has such an id. */
const LISTED = '~list';

/** Another history takes the collected list as well: its pieces may be others than those of a stream that can be read again. */
export const takeList = ({ memo }: Pick<At, 'memo'>): void => memo.below(LISTED).end(true);
export const takesList = ({ memo }: Pick<At, 'memo'>): boolean => memo.below(LISTED).value === true;

/** Digest of the item that has begun, in its memo. */
const BEGUN = '~item';

/** Set in the memo of an item that has begun with another piece before, and begins again, maybe in a later history. */
const AGAIN = '~again';

/** Steps of an item of which a call has ended in a segment that has lost its entry, in the memo of their graph: only its journal has the values. */
const ENDED = '~ended';
const endsIn = (memo: Memo) => (memo.valueBelow(ENDED) ?? []) as readonly string[];
/** Beside those of another segment of the graph. */
export const noteEnds = ({ memo }: Pick<At, 'memo'>, steps: readonly string[]): void =>
  memo.below(ENDED).end([...endsIn(memo), ...steps]);

/**
 * Where the steps of an item are. One that begins again with another piece has a place of its own: journals, channels, idempotency keys and ids of
 * child runs know a call by its path, and would have what was made of the first piece.
 */
export const placeOf = (name: string, memo: Memo): string =>
  memo.valueBelow(AGAIN) === undefined ? name : againOf(name);

/** `chunks[3~2]` */
export const againOf = (name: string): string => name.replace(/\]$/, '~2]');

/**
 * The result that an item has had, in an earlier history or before its stream was lost; undefined if it was another item's, of which nothing
 * is kept then. Throws `RESUME_DIVERGED` if that may have had effects: they would be made again for a piece that is only cut in another place.
 * @param lost the stream was: its pieces may have been others than those of the list
 */
export function endOf(step: EachPlan, at: At, i: number, piece: Piece, lost = false): Ended | undefined {
  const name = `${step.id}[${i}]`;
  const memo = at.memo.below(name);
  const end = memo.value as Ended | undefined;
  if (end === undefined && piece.digest === undefined) return undefined;
  const of = end === undefined ? memo.below(BEGUN).value : end.of;
  // It is to begin again, and has not yet.
  const isAgain = memo.valueBelow(AGAIN) !== undefined;
  if (of === undefined && (end !== undefined || !lost || isAgain)) return end;
  if (of === (piece.digest ?? digestOf(piece.value ?? null))) return end;
  if (hasHadEffects(step, memo) && holds(at.host, 'ended-items-stay')) {
    // An earlier release has begun it with the list itself.
    if (of === undefined) return undefined;
    throw diverged(step, i);
  }
  at.memo.drop(name);
  if (of !== undefined && holds(at.host, 'ended-items-stay')) at.memo.below(name).below(AGAIN).end(true);
  return undefined;
}

/** Whether a step of an item that may have effects has ended, or is a loop or an agent that has begun. */
function hasHadEffects({ body }: EachPlan, memo: Memo): boolean {
  if (memo.value !== undefined) return mayHaveEffects(body);
  const ended = endsIn(memo);
  return body.stages.some(
    (step) =>
      (ended.includes(step.id) || memo.parts.get(step.id)?.isEmpty === false) &&
      mayHaveEffects({ stages: [step], output: null }),
  );
}

function diverged({ id }: EachPlan, i: number): StageError {
  const message =
    `item ${i} of "${id}" may have had effects, and would run again with another entry: the state store has lost the stream, ` +
    'and the collected list is cut in other places; check what the run has done, and start a new one for the rest';
  return new StageError('RESUME_DIVERGED', message, { stage: id, differs: true });
}

export async function item(
  run: Run,
  step: EachPlan,
  scope: Scope,
  at: At,
  i: number,
  { value, entry, digest }: Piece,
): Promise<Ended | undefined> {
  const { id, onFailure, body } = step;
  const name = `${id}[${i}]`;
  const memo = at.memo.below(name);
  const own: Record<string, Json> = { [`${id}/index`]: i };
  if (value !== undefined) own[`${id}/item`] = value;
  const entries = entry && new Map<string, EntryRef>([...(at.entries ?? []), [`${id}/item`, entry]]);
  const inner: At = { ...at, prefix: `${at.prefix}${placeOf(name, memo)}/`, memo, ...(entries && { entries }) };
  const graph = (host: RunHost) => graphValue(run, body, scope, own, { ...inner, host });
  const of = digest !== undefined && { of: digest };
  if (digest !== undefined) memo.below(BEGUN).end(digest);
  let ended: Ended;
  try {
    // If other items continue, or this one starts again without the stream, work left running by a failed item is cancelled.
    const result = onFailure === 'fail' && !entry ? await graph(at.host) : await at.host.race([graph]);
    if (result === STOPPED) return undefined;
    ended = { ok: result, ...of };
  } catch (error) {
    if (onFailure === 'fail' || !isFailure(error, at.host) || run.deadline.leftMs <= 0) throw error;
    ended = { failed: true, ...of };
  }
  memo.end(ended as unknown as Json);
  return ended;
}
