import type { Json } from '../../pipelines/json.js';
import { type EachPlan, resolve, type Scope } from '../../pipelines/plan/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import type { RunHost } from './host.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { graphValue, isFailure, stops } from './value.js';

/** Result of an item. */
export type Ended = { readonly ok: Json } | { readonly failed: true };

/** Runs the graph for each item, `concurrency` items at a time; returns the values in the items' order. */
export async function each(run: Run, step: EachPlan, scope: Scope, at: At): Promise<Json | Stopped> {
  const list = resolve(step.over, scope) ?? [];
  if (!Array.isArray(list)) throw new StageError('INVALID_INPUT', `"${step.id}" requires a list`, { stage: step.id });
  const ended: (Ended | undefined)[] = list.map((_, i) => at.memo.below(`${step.id}[${i}]`).value as Ended | undefined);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < list.length; i = next++) {
      if (ended[i] !== undefined) continue;
      if (stops(run, at)) return;
      ended[i] = await item(run, step, scope, at, i, list[i] as Json);
    }
  };
  await Promise.all(Array.from({ length: Math.min(step.concurrency, list.length) }, lane));
  if (ended.some((end) => end === undefined)) return STOPPED;
  return (ended as Ended[]).flatMap((end) => valuesOf(step, end));
}

/** What an item adds to the values. */
export function valuesOf({ onFailure }: EachPlan, end: Ended): readonly Json[] {
  if ('ok' in end) return [end.ok];
  return onFailure === 'drop' ? [] : [null];
}

export async function item(
  run: Run,
  step: EachPlan,
  scope: Scope,
  at: At,
  i: number,
  value: Json,
): Promise<Ended | undefined> {
  const { id, onFailure, body } = step;
  const memo = at.memo.below(`${id}[${i}]`);
  const own = { [`${id}/item`]: value, [`${id}/index`]: i };
  const graph = (host: RunHost) =>
    graphValue(run, body, scope, own, { ...at, host, prefix: `${at.prefix}${id}[${i}]/`, memo });
  let ended: Ended;
  try {
    // If other items continue, work left running by a failed item is cancelled.
    const result = onFailure === 'fail' ? await graph(at.host) : await at.host.race([graph]);
    if (result === STOPPED) return undefined;
    ended = { ok: result };
  } catch (error) {
    if (onFailure === 'fail' || !isFailure(error) || run.deadline.leftMs <= 0) throw error;
    ended = { failed: true };
  }
  memo.end(ended as Json);
  return ended;
}
