import { allSteps, graphsOf, type Step } from '../../pipelines/plan/index.js';
import type { SegmentOutcome } from '../../pipelines/run/index.js';
import { roundsEnded } from './control.js';
import { againOf, placeOf } from './each.js';
import type { Memo } from './memo.js';
import type { At } from './state.js';

export type Tried = NonNullable<SegmentOutcome['tried']>;

/**
 * The attempts without those of steps, items and rounds that have ended: no call of theirs is made again. A stage that its fallback has ended
 * leaves the attempts of its first candidate, so a long list would leave some for each item.
 * @param tried by `callName`
 * @param steps of the graph that `memo` and `prefix` belong to
 */
export function triedLeft(tried: Tried, steps: readonly Step[], { memo, prefix }: Pick<At, 'memo' | 'prefix'>): Tried {
  const ended = new Set(endedPaths(steps, memo, prefix));
  return Object.fromEntries(Object.entries(tried).filter(([name]) => !isWithin(name, ended)));
}

/** Whether the path at the beginning of a call's name is one of `ended`, or leads into one. */
function isWithin(name: string, ended: ReadonlySet<string>): boolean {
  const [path = ''] = name.split(' ', 1);
  for (let end = 1; end <= path.length; end++) {
    const next = path[end];
    // `chunks[3]/answer` leads into `chunks[3]` and into `chunks`.
    if ((next === undefined || next === '/' || next === '[') && ended.has(path.slice(0, end))) return true;
  }
  return false;
}

/** Paths of the steps, items and rounds of a graph that have ended; none of what is within them but the steps. */
function* endedPaths(steps: readonly Step[], memo: Memo, prefix: string): Generator<string> {
  for (const step of steps) {
    const own = memo.parts.get(step.id);
    if (own === undefined) continue;
    if (own.value !== undefined) {
      // The path of a step in a branch or a race does not have the id of that.
      for (const { id } of allSteps({ stages: [step], output: null })) yield `${prefix}${id}`;
    } else if (step.kind === 'each' || step.kind === 'repeat') yield* endedTurns(step, own, prefix);
    else for (const { stages } of graphsOf(step)) yield* endedPaths(stages, own, prefix);
  }
}

/** The same of a loop that has not ended. */
function* endedTurns(step: Step, memo: Memo, prefix: string): Generator<string> {
  const rounds = roundsEnded(memo);
  for (let round = 1; round <= rounds; round++) yield `${prefix}${step.id}[${round}]`;
  for (const [name, turn] of memo.parts) {
    if (!name.startsWith(`${step.id}[`)) continue;
    if (turn.value !== undefined) yield* [`${prefix}${name}`, `${prefix}${againOf(name)}`];
    else for (const { stages } of graphsOf(step)) yield* endedPaths(stages, turn, `${prefix}${placeOf(name, turn)}/`);
  }
}
