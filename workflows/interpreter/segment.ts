import type { Json } from '../../pipelines/json.js';
import {
  allSteps,
  type Binding,
  type Graph,
  graphsOf,
  isStage,
  readsOf,
  type Step,
  sourcesOf,
} from '../../pipelines/plan/index.js';
import { callName, type Segment, type SegmentOutcome } from '../../pipelines/run/index.js';
import { type Host, StageError } from './host.js';
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
  let { host } = at;
  if (todo.length > 0 && host.runSegment) {
    const stages = [...allSteps({ stages: todo, output: null })].map(({ id }) => id);
    let outcome: SegmentOutcome | undefined;
    run.table.hold(stages, 1);
    try {
      outcome = await host.runSegment({
        path: `${at.prefix}${first.id}`,
        prefix: at.prefix,
        steps: todo,
        scope: scopeOf(todo, steps, reads, scope, at),
        wanted: readOutside(graph, steps),
        context: contextOf(run, todo),
        leftMs: run.deadline.leftMs,
        reserved: Object.fromEntries(stages.flatMap((id) => reservedOf(run, id))),
        ...(answer && todo.length === steps.length && { answer }),
        ...(answer && run.context.guarded !== undefined && { guarded: run.context.guarded }),
      });
    } catch (error) {
      throw error instanceof StageError && run.deadline.isOver(error) ? run.deadline.exceeded(first.id) : error;
    } finally {
      run.table.hold(stages, -1);
      if (outcome === undefined) cancelRows(run, new Set(stages));
    }
    const done = Memo.from(outcome.done);
    for (const { id } of todo) at.memo.take(id, done.below(id));
    run.table.take(outcome.rows);
    if (outcome.failure) {
      const { code, message, details } = outcome.failure;
      throw new StageError(code, message, details);
    }
    if (outcome.tried) host = afterTries(host, outcome.tried);
  }
  const values = steps.map(({ id }) => [id, at.memo.below(id).value] as const);
  if (values.every((entry): entry is [string, Json] => entry[1] !== undefined)) {
    for (const [id, value] of values) scope.set(id, value);
    return true;
  }
  return host.race([
    async (inner) => {
      const alone = new Map<string, Promise<boolean>>();
      for (const step of steps) alone.set(step.id, run.step(run, queued(step), scope, alone, { ...at, host: inner }));
      return (await Promise.all(alone.values())).every(Boolean);
    },
  ]);
}

function readsOfAll(steps: readonly Step[], output: Binding = null): string[] {
  const reads = new Set([...steps.flatMap(readsOf), ...sourcesOf(output)]);
  for (const { id } of steps) reads.delete(id);
  return [...reads];
}

/** The values that the steps read from before; in a new history those of the segment that had ended are such as well. */
function scopeOf(
  todo: readonly Step[],
  steps: readonly Step[],
  reads: readonly string[],
  scope: GraphValues,
  { memo }: At,
): Segment['scope'] {
  const values = Object.fromEntries(reads.map((source) => [source, scope.get(source) ?? null]));
  if (todo.length < steps.length)
    for (const { id } of steps) {
      const { value } = memo.below(id);
      if (value !== undefined) values[id] = value;
    }
  return values;
}

/** Those of the segment's steps whose values are read outside it. */
function readOutside(graph: Graph, steps: readonly Step[]): string[] {
  const own = new Set(steps);
  const others = graph.stages.filter((step) => !own.has(step)).flatMap(readsOf);
  const read = new Set([...others, ...sourcesOf(graph.output)]);
  return steps.map(({ id }) => id).filter((id) => read.has(id));
}

/** Rows that do not come any more: what no other segment holds ran, as far as anyone could see, until it was ended. */
function cancelRows({ table }: Run, stages: ReadonlySet<string>): void {
  const gone = table.rows.filter(({ stage, status }) => status === 'waiting' && stages.has(stage));
  table.take(gone.map((row) => ({ ...row, status: 'cancelled' })));
}

/**
 * The host for what a segment leaves undone. A stage has the attempts that it had not begun there, and what has failed there
 * for good is not called again.
 */
function afterTries(host: Host, tried: NonNullable<SegmentOutcome['tried']>): Host {
  return {
    runStage(stage, input, call, placed, shown) {
      const before = tried[callName(call)];
      if (!before) return host.runStage(stage, input, call, placed, shown);
      const { begun, waitedMs = 0, failure } = before;
      if (failure) throw new StageError(failure.code, failure.message, failure.details);
      const { retry } = stage.policy;
      const left = { ...retry, attempts: retry.attempts - begun };
      if (left.attempts <= 0) {
        const message = `stage "${stage.id}": its worker or the journal was lost in the last attempt`;
        throw new StageError('STAGE_TIMEOUT', message, { stage: stage.id });
      }
      const { patienceMs } = call;
      const patient = patienceMs !== undefined && { patienceMs: Math.max(0, patienceMs - waitedMs) };
      const policy = { ...stage.policy, retry: left };
      return host.runStage({ ...stage, policy }, input, { ...call, retry: left, ...patient }, placed, shown);
    },
    ...(host.serving && { serving: (...args) => host.serving?.(...args) ?? Promise.resolve(undefined) }),
    runChild: (...args) => host.runChild(...args),
    now: () => host.now(),
    wait: (...args) => host.wait(...args),
    nonce: () => host.nonce(),
    decision: (...args) => host.decision(...args),
    close: (nonce) => host.close(nonce),
    race: (contenders) => host.race(contenders.map((contender) => (inner) => contender(afterTries(inner, tried)))),
    full: () => host.full(),
    report: (stages) => host.report(stages),
  };
}

/** The run's context with what the segment needs of it. */
function contextOf({ context }: Run, steps: readonly Step[]): Segment['context'] {
  const { plan, placement, tenant, sessionsOf, priority, events } = context;
  const ids = new Set([...allSteps({ stages: steps, output: null })].map(({ id }) => id));
  const rows = Object.entries(placement).filter(([key]) => ids.has(key.split('~', 1)[0] as string));
  return {
    plan: { ...plan, stages: [], output: null },
    placement: Object.fromEntries(rows),
    tenant,
    ...(sessionsOf !== undefined && { sessionsOf }),
    ...(priority && { priority }),
    ...(events && { events }),
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
