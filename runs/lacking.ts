import { type AgentPlan, agentOf, allSteps, isStage, type Plan, type Step } from '../pipelines/plan/index.js';
import type { StageRecord } from '../pipelines/run/index.js';
import type { RecordSummary } from '../stores/records/index.js';

/** A run that has ended, as far as its table tells. */
interface EndedRun {
  readonly plan: Plan;
  readonly stages: readonly StageRecord[];
  readonly endedAt: Date | undefined;
}

/** Steps without a call in the record: decisions are in the stage table, child runs have records of their own calls. */
const NO_CALLS: ReadonlySet<string> = new Set(['approve', 'pipeline']);

/** Stages that make several calls: of one that has not ended, some may have. */
const SEVERAL: ReadonlySet<string> = new Set(['agent', 'pipeline']);

/**
 * What may have ended in a run although the record lacks it.
 * @param keptMs how long the record of a run is kept after its end, in milliseconds
 */
export function lackingIn({ plan, stages, endedAt }: EndedRun, record: RecordSummary, keptMs: number): string[] {
  const { succeeded, turns, gaps, absent } = record;
  const steps = new Map([...allSteps(plan)].map((step) => [step.id, step]));
  // Of a younger run without a record no call has ended with a report.
  const isOver = absent === true && endedAt !== undefined && Date.now() - endedAt.getTime() > keptMs;
  const lacking = stages.flatMap((row) => {
    const { stage, kind } = row;
    const step = steps.get(stage);
    if (SEVERAL.has(kind) && isOpen(row) && (isOver || !isKept(plan, step)))
      return [`${stage} (its calls are not kept)`];
    if (NO_CALLS.has(kind)) return [];
    const done = doneOf(row);
    // An agent makes a call for each turn and tool.
    const kept = succeeded.get(stage) ?? 0;
    const known = kind === 'agent' ? Math.min(kept, 1) * done : kept;
    if (known < done) return [`${stage} (${known} of ${done} kept)`];
    const calls = callsKept(row, namedApart(step), turns?.get(stage));
    return calls.kept < calls.made ? [`${stage} (${calls.kept} of ${calls.made} calls kept)`] : [];
  });
  if (gaps > 0 && lacking.length === 0) lacking.push(`${gaps} calls that could not be kept`);
  const cut = stages
    .filter(({ shortened }) => shortened)
    .map(({ stage }) => `${stage} (its row lacks decisions or calls)`);
  return [...cut, ...lacking];
}

const doneOf = ({ count, status }: StageRecord): number => count?.done ?? (status === 'done' ? 1 : 0);

/** Whether it has begun and not ended. */
const isOpen = ({ count, status }: StageRecord): boolean =>
  (count !== undefined && count.started > count.done) || OPEN.has(status);

const OPEN: ReadonlySet<string> = new Set(['running', 'failed', 'cancelled']);

/** Whether the record has the calls of a step, those of its child runs included. */
const isKept = ({ record }: Plan, step: Step | undefined): boolean =>
  record !== 'off' && [...plansCalledBy(step)].every((plan) => plan.record !== 'off');

/** Plans of the runs that a step starts, and that these start. */
function* plansCalledBy(step: Step | undefined): Generator<Plan> {
  for (const plan of ownPlans(step)) {
    yield plan;
    for (const inner of allSteps(plan)) yield* plansCalledBy(inner);
  }
}

function ownPlans(step: Step | undefined): readonly Plan[] {
  if (step !== undefined && !isStage(step)) return step.kind === 'pipeline' && step.run === 'child' ? [step.plan] : [];
  return agentsOf(step).flatMap(({ tools }) => tools.flatMap((tool) => (tool.by === 'pipeline' ? [tool.plan] : [])));
}

/** The agents that may serve a stage. */
function agentsOf(step: Step | undefined): readonly AgentPlan[] {
  if (step === undefined || !isStage(step)) return [];
  const others = [...(step.fallback ?? []), ...(step.degrade ?? []).map(({ to }) => to)];
  const all = [step, ...others.filter((to) => typeof to === 'object')];
  return all.filter(({ kind }) => kind === 'agent').map(agentOf);
}

/**
 * How many calls an agent has made, as its row tells, and how many of these a record has: one of its model in each turn up to the last that called
 * tools, and the calls that are done. Each is looked for: that there are as many others says nothing.
 */
function callsKept(
  { calls = [], earlierCalls = {} }: StageRecord,
  apart: ReadonlySet<string>,
  record: ReadonlyMap<string, number> = new Map(),
): { readonly kept: number; readonly made: number } {
  const made = new Map<string, number>();
  const last = Math.max(0, ...calls.map(({ turn }) => turn));
  for (let turn = 1; turn <= last; turn++) made.set(String(turn), 1);
  for (const { turn, name, end } of calls) {
    if (end === 'done' && !apart.has(name)) made.set(`${turn}/${name}`, (made.get(`${turn}/${name}`) ?? 0) + 1);
  }
  let kept = 0;
  /** Calls of each tool in the record that are not taken for one of the row. */
  const others = new Map<string, number>();
  for (const [key, count] of record) {
    const taken = Math.min(count, made.get(key) ?? 0);
    kept += taken;
    const [, name] = key.split('/');
    if (name !== undefined) others.set(name, (others.get(name) ?? 0) + count - taken);
  }
  let all = [...made.values()].reduce((sum, count) => sum + count, 0);
  for (const [name, count] of Object.entries(earlierCalls)) {
    if (apart.has(name)) continue;
    all += count;
    kept += Math.min(count, others.get(name) ?? 0);
  }
  return { kept, made: all };
}

/** Tools whose calls are not among those of the agent's stage: runs have records of their own calls, and a handover is no call. */
const namedApart = (step: Step | undefined): ReadonlySet<string> =>
  new Set(
    agentsOf(step).flatMap(({ tools, team = [] }) => [
      ...tools.filter(({ by }) => by === 'pipeline').map(({ name }) => name),
      ...team.map(({ name }) => `transfer_to_${name}`),
    ]),
  );
