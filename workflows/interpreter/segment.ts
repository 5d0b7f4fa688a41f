import {
  allSteps,
  type Binding,
  type Graph,
  graphsOf,
  isStage,
  readsOf,
  type Segment,
  type Step,
  sourcesOf,
} from '../../pipelines/plan/index.js';
import { StageError } from './host.js';
import { Memo } from './memo.js';
import type { GraphValues } from './scope.js';
import type { At, Run } from './state.js';

/** Runs a group of inline steps as one segment; what a lost journal leaves undone, step by step on its queues. */
export async function runSegment(
  run: Run,
  steps: readonly Step[],
  graph: Graph,
  scope: GraphValues,
  ended: ReadonlyMap<string, Promise<boolean>>,
  at: At,
): Promise<boolean> {
  const answer =
    run.answer?.graph === graph && steps.length === graph.stages.length
      ? {
          to: run.answer.to,
          output: graph.output,
          ...(run.context.outputs && { table: run.table.rows }),
        }
      : undefined;
  const reads = readsOfAll(steps, answer?.output);
  for (const source of reads) {
    const earlier = ended.get(source);
    if (earlier !== undefined && !(await earlier)) return false;
  }
  const [first] = steps as [Step];
  const todo = steps.filter(({ id }) => at.memo.below(id).value === undefined);
  if (todo.length > 0 && at.host.runSegment) {
    const stages = [...allSteps({ stages: todo, output: null })].map(({ id }) => id);
    run.table.hold(stages, 1);
    const outcome = await at.host.runSegment({
      path: `${at.prefix}${first.id}`,
      prefix: at.prefix,
      steps: todo,
      scope: Object.fromEntries(reads.map((source) => [source, scope.get(source) ?? null])),
      context: contextOf(run, todo),
      leftMs: run.deadline.leftMs,
      reserved: Object.fromEntries(todo.flatMap(({ id }) => reservedOf(run, id))),
      ...(answer && todo.length === steps.length && { answer }),
    });
    run.table.hold(stages, -1);
    const done = Memo.from(outcome.done);
    for (const { id } of todo) at.memo.take(id, done.below(id));
    run.table.take(outcome.rows);
    if (outcome.failure) {
      const { code, message, details } = outcome.failure;
      throw new StageError(code, message, details);
    }
  }
  const alone = new Map<string, Promise<boolean>>();
  for (const step of steps) alone.set(step.id, run.step(run, queued(step), scope, alone, at));
  return (await Promise.all(alone.values())).every(Boolean);
}

function readsOfAll(steps: readonly Step[], output: Binding = null): string[] {
  const reads = new Set([...steps.flatMap(readsOf), ...sourcesOf(output)]);
  for (const { id } of steps) reads.delete(id);
  return [...reads];
}

/** The run's context with what the segment needs of it. */
function contextOf({ context }: Run, steps: readonly Step[]): Segment['context'] {
  const { plan, placement, tenant, priority } = context;
  const ids = new Set([...allSteps({ stages: steps, output: null })].map(({ id }) => id));
  const rows = Object.entries(placement).filter(([key]) => ids.has(key.split('~', 1)[0] as string));
  return {
    plan: { ...plan, stages: [], output: null },
    placement: Object.fromEntries(rows),
    tenant,
    ...(priority && { priority }),
  };
}

const reservedOf = (run: Run, id: string): [string, number][] => {
  const ms = run.deadline.leftMs - run.deadline.shareOf(id);
  return ms > 0 ? [[id, ms]] : [];
};

/** The step with all its stages on their queues. */
function queued(step: Step): Step {
  if (isStage(step)) return { ...step, policy: { ...step.policy, execution: 'queued' } };
  if (graphsOf(step).length === 0) return step;
  const changed: Record<string, unknown> = { ...step };
  const graph = (inner: Graph): Graph => ({ ...inner, stages: inner.stages.map(queued) });
  for (const key of ['body', 'otherwise', 'plan']) if (key in changed) changed[key] = graph(changed[key] as Graph);
  if ('contenders' in step) {
    changed.contenders = Object.fromEntries(
      Object.entries(step.contenders).map(([name, inner]) => [name, graph(inner)]),
    );
  }
  return changed as unknown as Step;
}
