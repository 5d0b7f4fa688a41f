import type { JsonObject } from '../../../pipelines/json.js';
import { allSteps, isStage } from '../../../pipelines/plan/index.js';
import type { RunContext, StageRecord } from '../../../pipelines/run/index.js';
import type { Expected } from '../reference-evaluator.js';
import type { RandomRun } from './plan-of.js';

/** How a run has ended: its output, or a failure's code and details. */
export interface Seen {
  readonly output?: JsonObject;
  readonly code?: string;
  readonly message?: string;
  readonly stages: readonly StageRecord[];
  readonly calls: ReadonlyMap<string, number>;
}

/** A run's second argument, all its stages on one queue. */
export function contextOfRun({ plan, outputs }: RandomRun, queue: string): RunContext {
  const placed = { connector: 'script', device: '', queue };
  const rows = [...allSteps(plan)]
    .filter(isStage)
    .flatMap(({ id }) => [[id, placed] as const, [`${id}~1`, placed] as const]);
  return { plan, placement: Object.fromEntries(rows), tenant: 'default', ...(outputs && { outputs }) };
}

/** Everything in which a run differs from what its plan means; empty when nothing does. */
export function differences({ end, calls, ends }: Expected, seen: Seen): string[] {
  const found: string[] = [];
  const show = (value: unknown) => JSON.stringify(value);
  if ('ok' in end) {
    if (seen.code !== undefined) found.push(`fails with ${seen.code} (${seen.message}) instead of ${show(end.ok)}`);
    else if (sorted(end.ok) !== sorted(seen.output))
      found.push(`gives ${show(seen.output)} instead of ${show(end.ok)}`);
  } else if (seen.code === undefined || !end.codes.has(seen.code)) {
    found.push(
      `ends with ${seen.code ?? show(seen.output)} (${seen.message}) instead of ${[...end.codes].join(' or ')}`,
    );
  }
  for (const name of new Set([...calls.keys(), ...seen.calls.keys()])) {
    const { least, most } = calls.get(name) ?? { least: 0, most: 0 };
    const count = seen.calls.get(name) ?? 0;
    if (count < least || count > most) found.push(`${count} calls of ${name} instead of ${least} to ${most}`);
  }
  if ('ok' in end) found.push(...rowDifferences({ calls, ends }, seen.stages));
  return found;
}

/** In the stage table of a run that succeeds, what never started is skipped and what always succeeded is done. */
function rowDifferences({ calls, ends }: Pick<Expected, 'calls' | 'ends'>, rows: readonly StageRecord[]): string[] {
  const touched = new Set([...calls.keys()].map((name) => name.split(' ', 1)[0]?.replace(/^.*\]\//, '')));
  return rows.flatMap(({ stage, status, count }) => {
    const { started, done } = ends.get(stage) ?? { started: 0, done: 0 };
    if (!touched.has(stage)) return status === 'skipped' ? [] : [`"${stage}" never starts and is ${status}`];
    if (started === 0 || started !== done) return [];
    const counted = count ?? { started: 1, done: 1 };
    const right = status === 'done' && counted.started === started && counted.done === done;
    return right ? [] : [`"${stage}" is ${status} ${JSON.stringify(counted)} after ${started} starts, all done`];
  });
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
