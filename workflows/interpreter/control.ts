import { isJsonObject, type Json } from '../../pipelines/json.js';
import {
  allSteps,
  type EachPlan,
  type Graph,
  type RacePlan,
  type RepeatPlan,
  resolve,
  type Scope,
  type Step,
  type SubPipelinePlan,
  type WhenPlan,
} from '../../pipelines/plan/index.js';
import { type Placement, type RunContext, type TokenUsage, usageOfRows } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { eachEntry } from './each-stream.js';
import { HistoryFull } from './history-full.js';
import { holds } from './host.js';
import type { Memo } from './memo.js';
import { GraphValues } from './scope.js';
import { sessionsOf } from './sessions-of.js';
import { checkInput } from './sizes.js';
import { type At, type Run, STOPPED, type Stopped } from './state.js';
import { isEntryLost } from './streams.js';
import { graphValue, isFailure, stops } from './value.js';

export type ControlStep = (run: Run, step: Step, scope: Scope, at: At) => Promise<Json | Stopped>;

/** Control-flow steps by kind; each resolves with its value. */
export const CONTROL_STEPS: Readonly<Record<string, ControlStep>> = {
  when: (run, step, scope, at) => when(run, step as WhenPlan, scope, at),
  each: (run, step, scope, at) => eachEntry(run, step as EachPlan, scope, at),
  repeat: (run, step, scope, at) => repeat(run, step as RepeatPlan, scope, at),
  race: (run, step, scope, at) => race(run, step as RacePlan, scope, at),
  pipeline: (run, step, scope, at) => pipeline(run, step as SubPipelinePlan, scope, at),
};

async function when(run: Run, step: WhenPlan, scope: Scope, at: At): Promise<Json | Stopped> {
  const holds = resolve(step.condition, scope) === true;
  const [taken, other] = holds ? [step.body, step.otherwise] : [step.otherwise, step.body];
  if (other) skip(run, other);
  return taken ? graphValue(run, taken, scope, {}, at) : null;
}

/** Where a `repeat` keeps its last state, with the number of the round that gave it. */
const REACHED = 'state';

/** How many rounds of the `repeat` that a memo is of have ended. */
export const roundsEnded = (memo: Memo): number =>
  (memo.valueBelow(REACHED) as { readonly round: number } | undefined)?.round ?? 0;

async function repeat(run: Run, step: RepeatPlan, scope: Scope, at: At): Promise<Json | Stopped> {
  const { id, atMost, body } = step;
  const reached = at.memo.below(REACHED);
  let { state, round } = (reached.value ?? { state: resolve(step.start, scope), round: 0 }) as {
    state: Json;
    round: number;
  };
  for (;;) {
    if (stops(run, at)) return STOPPED;
    round += 1;
    const name = `${id}[${round}]`;
    const own = { [`${id}/state`]: state, [`${id}/round`]: round };
    const value = await graphValue(run, body, scope, own, {
      ...at,
      prefix: `${at.prefix}${name}/`,
      memo: at.memo.below(name),
    });
    if (value === STOPPED) return STOPPED;
    state = value;
    at.memo.drop(name);
    reached.end({ state, round });
    if (resolve(step.until, new GraphValues({ [`${id}/state`]: state }, scope)) === true) return state;
    if (round >= atMost) break;
  }
  if (step.onLimit === 'accept') return state;
  throw new StageError('LIMIT_REACHED', `"${id}" did not reach its condition in ${atMost} rounds`, { stage: id });
}

/** The first contender to succeed; the last failure if none does. */
async function race(run: Run, step: RacePlan, scope: Scope, at: At): Promise<Json | Stopped> {
  const contenders = Object.entries(step.contenders);
  let left = contenders.length;
  let full: HistoryFull | undefined;
  let lost: StageError | undefined;
  return at.host.race<Json | Stopped>(
    contenders.map(([winner, graph]) => async (host) => {
      try {
        // A race is short: its loops do not stop for a new history, and fail where this one is nearly over.
        const inner: At = { ...at, host, memo: at.memo.below(winner), mayStop: false, race: step.id };
        const value = await host.race([(own) => graphValue(run, graph, scope, {}, { ...inner, host: own })]);
        return value === STOPPED ? STOPPED : { winner, value };
      } catch (error) {
        left -= 1;
        // Another contender may still win. If none does, the failure of another one must not be handled instead.
        if (error instanceof HistoryFull) full ??= error;
        else if (isEntryLost(error) && holds(at.host, 'ended-items-stay')) lost ??= error;
        else if (!isFailure(error, at.host)) throw error;
        if (left === 0) throw lost ?? full ?? error;
        return new Promise<never>(() => undefined);
      }
    }),
  );
}

async function pipeline(run: Run, step: SubPipelinePlan, scope: Scope, at: At): Promise<Json | Stopped> {
  const { id, plan } = step;
  const input = resolve(step.input, scope);
  if (!isJsonObject(input))
    throw new StageError('INVALID_INPUT', `the input of "${id}" is not an object`, { stage: id });
  if (step.run === 'inline') return graphValue(run, plan, undefined, { [`${id}/input`]: input }, at);
  const { table, deadline, context } = run;
  table.underWay(id, 1);
  table.start(id);
  const started = at.host.now();
  try {
    const deadlineMs = Math.min(plan.deadlineMs, deadline.shareOf(id));
    if (deadlineMs <= 0) throw deadline.exceeded(id);
    checkInput(input, id);
    const child: RunContext = {
      plan: { ...plan, deadlineMs },
      placement: placementOf(context.placement, id),
      tenant: context.tenant,
      sessionsOf: sessionsOf(context),
      runMs: context.runMs ?? context.plan.deadlineMs,
      ...(context.sealed && { sealed: context.sealed }),
      ...(context.streamTag !== undefined && { streamTag: context.streamTag }),
      ...(context.keyTag !== undefined && { keyTag: context.keyTag }),
      ...(context.priority && { priority: context.priority }),
      ...(context.trace !== undefined && { trace: context.trace }),
      ...(context.events && { events: context.events }),
      ...(context.waitsTo !== undefined && { waitsTo: context.waitsTo }),
    };
    const { output, stages } = await at.host.runChild(step, input, child, `${at.prefix}${id}`);
    const runMs = Math.round(at.host.now() - started);
    const usage = usageOfRows(stages);
    const outcome = { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs } as const;
    table.finish(id, { ...outcome, ...(usage && { usage }) });
    return output;
  } catch (error) {
    if (error instanceof StageError) table.fail(id, error, error.details.usage as TokenUsage | undefined);
    else table.cancel(id);
    throw error;
  } finally {
    table.underWay(id, -1);
  }
}

/** Placement rows of a child run: those of `id`, under their names in the child run. */
export const placementOf = (placement: Placement, id: string): Placement =>
  Object.fromEntries(
    Object.entries(placement).flatMap(([key, placed]) =>
      key.startsWith(`${id}/`) ? [[key.slice(id.length + 1), placed] as const] : [],
    ),
  );

function skip(run: Run, graph: Graph): void {
  for (const { id } of allSteps(graph)) run.table.skip(id);
}
