import { isJsonObject, type Json } from '../../pipelines/json.js';
import {
  type Alternative,
  agentOf,
  cacheKeyOf,
  type Graph,
  graphsOf,
  isStage,
  PLAN_VERSION,
  readsOf,
  readsOfGraph,
  type StagePlan,
  type Step,
  type ToolPlan,
  toolRow,
  unknownOperator,
} from '../../pipelines/plan/index.js';
import type { RunContext } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { CONTROL_STEPS } from './control.js';

/**
 * Rejects plans that the interpreter cannot complete: those of another release, and those that no definition produces.
 * Runs started by other means than this package would otherwise hang or fail midway.
 */
export function checkPlan({ plan, placement }: RunContext): void {
  const { planVersion } = plan;
  if (planVersion !== PLAN_VERSION) {
    throw new StageError(
      'UNKNOWN_PLAN_VERSION',
      `this worker reads plans of format ${PLAN_VERSION}, the run has ${planVersion}; start a worker of the release that made it`,
    );
  }
  if (!Number.isFinite(plan.deadlineMs)) throw invalid('it has no deadline');
  checkGraph(plan, new Set(['input']), { placement, ids: new Set() });
}

interface Checked {
  readonly placement: RunContext['placement'];
  /** Ids in the whole plan. */
  readonly ids: Set<string>;
}

/** @param around sources that the graph's steps may read besides earlier steps */
function checkGraph(graph: Graph, around: ReadonlySet<string>, checked: Checked): void {
  if (!isObject(graph) || !Array.isArray(graph.stages)) throw invalid('a graph has no list of steps');
  const visible = new Set(around);
  for (const step of graph.stages as readonly Step[]) {
    if (!isObject(step) || typeof step.id !== 'string') throw invalid('a step has no id');
    const { id } = step;
    if (checked.ids.has(id)) throw invalid('another step has the same id', id);
    checked.ids.add(id);
    checkStep(step, visible, checked);
    visible.add(id);
  }
  const unknown = readsOfGraph({ stages: [], output: graph.output }).find((source) => !visible.has(source));
  if (unknown !== undefined) throw invalid(`an output reads "${unknown}", which is not an earlier step`);
  checkOperators(graph.output);
}

function checkStep(step: Step, visible: ReadonlySet<string>, checked: Checked): void {
  const { id } = step;
  if (isStage(step)) {
    if (step.kind !== 'approve' && !checked.placement[id]) throw invalid('the placement has no row for it', id);
    checkOperators([step.input, cacheKeyOf(step)], id);
    checkAgents(step, checked.placement);
  } else {
    checkControl(step);
    const own = new Set(step.kind === 'pipeline' ? [`${id}/input`] : visible);
    for (const name of ['item', 'index', 'state', 'round']) own.add(`${id}/${name}`);
    for (const graph of graphsOf(step)) checkGraph(graph, own, checked);
  }
  const unknown = readsOf(step).find((source) => !visible.has(source));
  if (unknown !== undefined) throw invalid(`it reads "${unknown}", which is not an earlier step`, id);
}

/** Checks an agent and its alternatives: each tool that is a call needs a placement row. */
function checkAgents(step: StagePlan, placement: RunContext['placement']): void {
  const alternatives = [...(step.fallback ?? []), ...(step.degrade ?? []).map(({ to }) => to)];
  const all: readonly Alternative[] = [step, ...alternatives.filter((to) => typeof to === 'object')];
  for (const [i, by] of all.entries()) {
    if (by.kind !== 'agent') continue;
    const { tools, maxTurns } = agentOf(by);
    if (!Array.isArray(tools) || !(maxTurns >= 1)) throw invalid('its agent has no list of tools or no turn', step.id);
    const row = i === 0 ? step.id : `${step.id}~${i}`;
    for (const tool of tools as readonly ToolPlan[]) {
      if (!isObject(tool) || (tool.by !== 'stage' && tool.by !== 'pipeline'))
        throw invalid('one of its tools is invalid', step.id);
      const placed = tool.by === 'pipeline' || placement[toolRow(row, tool.name)];
      if (!placed) throw invalid(`the placement has no row for its tool "${tool.name}"`, step.id);
    }
  }
}

function checkControl(step: Exclude<Step, { policy: unknown }>): void {
  const { id, kind } = step;
  if (!Object.hasOwn(CONTROL_STEPS, kind)) throw invalid(`the step kind "${kind}" is unknown`, id);
  if (step.kind === 'each' && !(step.concurrency >= 1)) throw invalid('its concurrency is below 1', id);
  if (step.kind === 'repeat' && !(step.atMost >= 1)) throw invalid('its number of rounds is below 1', id);
  if (step.kind === 'race' && Object.keys(step.contenders ?? {}).length === 0)
    throw invalid('it has no contenders', id);
  for (const key of ['condition', 'over', 'start', 'until', 'input'])
    if (key in step) checkOperators((step as unknown as Record<string, Json>)[key] as Json, id);
}

function checkOperators(binding: Json, step?: string): void {
  const name = unknownOperator(binding);
  if (name !== undefined) throw invalid(`the operator "${name}" is unknown`, step);
}

/** Types describe what definitions produce; a plan received with a run may be anything. */
const isObject = (value: unknown): boolean => isJsonObject(value);

const invalid = (message: string, stage?: string): StageError =>
  new StageError(
    'INVALID_PIPELINE',
    `the run's plan cannot be run${stage === undefined ? '' : `, step "${stage}"`}: ${message}`,
    stage === undefined ? {} : { stage },
  );
