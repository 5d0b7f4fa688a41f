import type { Json } from '../../pipelines/json.js';
import { allSteps, type Graph, graphsOf, isStage, type Step } from '../../pipelines/plan/index.js';
import { buildSegment, readsOfAll } from '../../pipelines/run/build-segment.js';
import { callName, type Segment, type SegmentOutcome } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { noteEnds } from './each.js';
import { holds, type RunHost } from './host.js';
import { Memo } from './memo.js';
import type { GraphValues } from './scope.js';
import type { At, Run } from './state.js';
import { endsOf, entryLost, failureBeside, heldOf, isLost, restEndsFirst } from './streams.js';
import { type Tried, triedLeft } from './tried-left.js';

/**
 * Runs a group of inline steps as one segment. After it was interrupted, for example by a lost journal, the remaining steps run one by one on their
 * queues, also in the next history: a journal belongs to one history, and lacks what has ended on queues.
 */
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
  const [next, ...others] = todo;
  const held = heldOf(reads, at);
  const before = triedBefore(first, at);
  const isOnQueues = hasBegun(todo, before, at) && holds(host, 'interrupted-loops-go-on');
  let tried = isOnQueues ? before : undefined;
  if (next && host.runSegment && !isOnQueues) {
    const stages = [...allSteps({ stages: todo, output: null })].map(({ id }) => id);
    let outcome: SegmentOutcome | undefined;
    run.table.hold(stages, 1);
    try {
      outcome = await host.runSegment(
        buildSegment({
          context: run.context,
          graph,
          steps,
          todo: [next, ...others],
          prefix: at.prefix,
          scope: scopeOf(todo, steps, reads, scope, at),
          held,
          leftMs: run.deadline.leftMs,
          reservedFor: (id) => run.deadline.reservedFor(id),
          ...(answer && todo.length === steps.length && { answer }),
          ...(answer && run.context.guarded !== undefined && { guarded: run.context.guarded }),
        }),
      );
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
      const failure = new StageError(code, message, details);
      if (!held || !isLost(failure)) throw failure;
      if (outcome.ended) noteEnds(at, outcome.ended);
      throw entryLost(failure);
    }
    tried = outcome.tried;
  }
  if (tried) host = afterTries(host, tried);
  const values = steps.map(({ id }) => [id, at.memo.below(id).value] as const);
  if (values.every((entry): entry is [string, Json] => entry[1] !== undefined)) {
    for (const [id, value] of values) {
      scope.set(id, value);
      // Of a segment that was interrupted, each step begins itself below.
      at.begun?.get(id)?.begin(true);
    }
    return true;
  }
  return host.race([
    async (inner) => {
      const alone = new Map<string, Promise<boolean>>();
      for (const step of steps) alone.set(step.id, run.step(run, queued(step), scope, alone, { ...at, host: inner }));
      let whole: boolean;
      try {
        whole = (await Promise.all(alone.values())).every(Boolean);
      } catch (error) {
        if (!restEndsFirst(error, at)) throw error;
        throw failureBeside(await Promise.allSettled(endsOf(steps, alone, at))) ?? error;
      }
      if (whole) at.memo.drop(triedOf(first));
      else if (tried) at.memo.below(triedOf(first)).end(triedLeft(tried, steps, at) as unknown as Json);
      return whole;
    },
  ]);
}

/** Where the memo of a graph keeps the attempts of an interrupted segment, when the run stops for a new history. No step has such an id. */
const triedOf = ({ id }: Step): string => `${id}~tried`;

/** Attempts of an interrupted segment, from before the run stopped for a new history. */
const triedBefore = (first: Step, { memo }: At): Tried | undefined =>
  memo.valueBelow(triedOf(first)) as unknown as Tried | undefined;

/**
 * Whether a part of the steps that have not ended has run on their queues, before the run stopped for a new history. Loops do not stop inside a
 * segment, so a loop that is half done was left by one that was interrupted.
 */
const hasBegun = (todo: readonly Step[], tried: Tried | undefined, { memo }: At): boolean =>
  tried !== undefined || todo.some(({ id }) => !memo.below(id).isEmpty);

/** Values that the steps read from earlier ones; in a new history these include ended steps of the segment. */
function scopeOf(
  todo: readonly Step[],
  steps: readonly Step[],
  reads: readonly string[],
  scope: GraphValues,
  { memo, entries }: At,
): Segment['scope'] {
  const values = Object.fromEntries(
    reads.filter((source) => !entries?.has(source)).map((source) => [source, scope.get(source) ?? null]),
  );
  if (todo.length < steps.length)
    for (const { id } of steps) {
      const { value } = memo.below(id);
      if (value !== undefined) values[id] = value;
    }
  return values;
}

/** Rows that will not arrive: stages that no other segment holds were shown as running until they were ended. */
function cancelRows({ table }: Run, stages: ReadonlySet<string>): void {
  const gone = table.rows.filter(({ stage, status }) => status === 'waiting' && stages.has(stage));
  table.take(gone.map((row) => ({ ...row, status: 'cancelled' })));
}

/**
 * The host for the steps that a segment left undone. A stage has the attempts that were not started there, and a call
 * that failed there for good is not repeated.
 */
function afterTries(host: RunHost, tried: Tried): RunHost {
  return {
    runStage(stage, input, made, placed, shown) {
      const before = tried[callName(made)];
      // Also one of which the journal knows nothing: it may have rested.
      const call = made.writes ? { ...made, again: true as const } : made;
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
    ...(host.streams && { streams: true }),
    runChild: (...args) => host.runChild(...args),
    since: (change) => holds(host, change),
    now: () => host.now(),
    wait: (...args) => host.wait(...args),
    nonce: () => host.nonce(),
    decision: (...args) => host.decision(...args),
    close: (nonce) => host.close(nonce),
    race: (contenders) => host.race(contenders.map((contender) => (inner) => contender(afterTries(inner, tried)))),
    full: (beside) => host.full(beside),
    ...(host.nearlyOver && { nearlyOver: () => host.nearlyOver?.() === true }),
    ...(host.itemTurn && { itemTurn: (...args) => host.itemTurn?.(...args) }),
    report: (stages) => host.report(stages),
  };
}

/** The step with all its stages queued. */
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
