import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import {
  memoryRow,
  type PipelineTool,
  resultRow,
  type StagePlan,
  type StageTool,
  searchRow,
  serveAs,
  serverRow,
  toolRow,
} from '../../../pipelines/plan/index.js';
import type { RunContext, RunResult, StageOutcome } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import { placementOf } from '../control.js';
import type { Answering, Shown } from '../host.js';
import { runCall } from '../run-call.js';
import { sessionsOf } from '../sessions-of.js';
import type { At } from '../state.js';
import type { RequestedCall } from './call-model.js';
import type { Agent } from './candidate.js';
import { httpInput } from './http-input.js';
import { readInput } from './long-results.js';
import { memoryInput } from './memory.js';
import { searchInput } from './tool-search.js';

/**
 * A separate activity, typed by the tool's name.
 * @param answer answers what the tool's server asks while the call is open
 */
export async function runTool(
  agent: Agent,
  at: At,
  tool: StageTool,
  path: string,
  call: RequestedCall,
  answer?: Answering,
): Promise<StageOutcome> {
  const { run, stage, row, resultCharacters } = agent;
  const key = placedOf(row, tool);
  const placed = run.context.placement[key];
  if (!placed)
    throw new StageError('INTERNAL', `the placement has no row for the tool "${tool.name}"`, { stage: stage.id });
  const { fallback: _, degrade: __, ...bareStage } = stage;
  const called: StagePlan = run.deadline.limit({ ...serveAs(bareStage, tool), policy: tool.policy });
  const input = inputOf(agent, tool, call);
  const shown: Shown = { type: tool.name, summary: `${spoken(call)} · ${path}` };
  const fit = resultCharacters !== undefined &&
    !BUILT_IN.has(tool.kind) && {
      fit: { characters: resultCharacters, ...(tool.result !== undefined && { field: tool.result }) },
    };
  return await runCall(run, at, called, input, { ...callOf(run, called, path), ...fit }, placed, shown, answer);
}

/** Kinds of the agent's own tools. */
export const BUILT_IN: ReadonlySet<string> = new Set(['result', 'tool-search']);

/** Key of the placement row of a tool's calls. */
export function placedOf(row: string, { kind, model, name }: StageTool): string {
  if (kind === 'result') return resultRow(row);
  if (kind === 'tool-search') return searchRow(row);
  if (kind === 'memory') return memoryRow(row);
  return kind === 'mcp' ? serverRow(row, model) : toolRow(row, name);
}

function inputOf(agent: Agent, tool: StageTool, { arguments: given }: RequestedCall): JsonObject {
  const { all = [], wholes = {}, resultCharacters } = agent;
  if (tool.kind === 'tool-search') return searchInput(all, given.query);
  if (tool.kind === 'memory') return memoryInput(agent, tool, given);
  if (SPEECH.has(tool.kind)) return described(tool.schema, given);
  if (tool.kind !== 'result') return tool.places ? httpInput(tool.places, given) : given;
  const input = readInput(wholes, given, resultCharacters);
  if (input) return input;
  const names = Object.keys(wholes).join(', ');
  throw new StageError('INVALID_INPUT', `there is no result ${JSON.stringify(given.result)}; there are: ${names}`);
}

/** Kinds whose input has fields for callers, which a model may write although its author has not offered them. */
const SPEECH: ReadonlySet<string> = new Set(['transcribe', 'synthesize']);

/** The arguments that a schema describes; all of them if it allows others. */
function described({ properties, additionalProperties = false }: JsonObject, given: JsonObject): JsonObject {
  if (!isJsonObject(properties) || additionalProperties !== false) return given;
  return Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(properties, name)));
}

/** A separate run. */
export function runPipeline(
  { run, stage, row }: Agent,
  at: At,
  tool: PipelineTool,
  path: string,
  call: RequestedCall,
): Promise<RunResult> {
  const { plan, name, policy } = tool;
  const { placement, tenant, trace, priority = policy.priority } = run.context;
  const deadlineMs = Math.min(plan.deadlineMs, policy.timeout.totalMs, run.deadline.shareOf(stage.id));
  if (deadlineMs <= 0) throw run.deadline.exceeded(stage.id);
  const child: RunContext = {
    plan: { ...plan, deadlineMs },
    placement: placementOf(placement, toolRow(row, name)),
    tenant,
    sessionsOf: sessionsOf(run.context),
    runMs: run.context.runMs ?? run.context.plan.deadlineMs,
    ...(run.context.sealed && { sealed: run.context.sealed }),
    ...(run.context.streamTag !== undefined && { streamTag: run.context.streamTag }),
    ...(run.context.keyTag !== undefined && { keyTag: run.context.keyTag }),
    ...(priority && { priority }),
    ...(trace !== undefined && { trace }),
    ...(run.context.events && { events: run.context.events }),
    ...(run.context.waitsTo !== undefined && { waitsTo: run.context.waitsTo }),
  };
  const step = { id: stage.id, kind: 'pipeline', input: null, run: 'child', plan } as const;
  return at.host.runChild(step, call.arguments, child, path);
}

/** Maximum length of the arguments of a displayed call, in characters. */
const LONGEST_SPOKEN = 80;

/** A call for display: `get_weather("Lisbon")`. */
export function spoken({ name, arguments: given }: RequestedCall): string {
  const values = Object.values(given);
  const text = values.length === 0 ? '' : JSON.stringify(values.length === 1 ? values[0] : given);
  return `${name}(${text.length > LONGEST_SPOKEN ? `${text.slice(0, LONGEST_SPOKEN - 1)}…` : text})`;
}
