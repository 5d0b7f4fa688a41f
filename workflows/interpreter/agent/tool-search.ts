import type { Json, JsonObject } from '../../../pipelines/json.js';
import {
  type AgentPlan,
  freeName,
  type StagePlan,
  type StageTool,
  searchRow,
  type ToolPlan,
} from '../../../pipelines/plan/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';

/** Names of the tool with which the model looks for others: the first that no tool of the agent has. */
const FIND = ['find_tools', 'find_more_tools'];

/** Tools on offer at most, in multiples of those that one search finds: the last found stay. */
const MOST_SEARCHES = 4;

/** Whether the model sees some of the tools only. */
export const isSearched = ({ toolSearch, tools }: AgentPlan): boolean =>
  toolSearch !== undefined && tools.length > toolSearch.shown;

/** The tool that finds others by a text. */
export const finder = ({ stage, plan }: Agent): StageTool => ({
  name: freeName(FIND, plan.tools),
  description: 'Finds more tools by what they have to do. The tools that are found can be called afterwards.',
  schema: {
    type: 'object',
    properties: { query: { type: 'string', description: 'What the tool has to do, in a few words' } },
    required: ['query'],
    additionalProperties: false,
  },
  policy: stage.policy,
  onFailure: 'tell',
  by: 'stage',
  kind: 'tool-search',
  model: 'tool-search',
  with: searchOptions(plan),
});

const searchOptions = ({ toolSearch }: AgentPlan): JsonObject => ({
  embedder: toolSearch?.embedder ?? '',
  shown: toolSearch?.shown ?? 0,
});

/** Input of a search among an agent's tools. */
export const searchInput = (tools: readonly ToolPlan[], query: Json | undefined): JsonObject => ({
  query: String(query ?? ''),
  tools: tools.map(({ name, description }) => ({ name, description })),
});

/** Names of the tools that fit the agent's prompt: a separate activity, made once. */
export async function toolsFor(agent: Agent, at: At, prompt: string): Promise<readonly string[]> {
  const { run, stage, plan, row } = agent;
  const kept = at.memo.below('found');
  if (kept.value === undefined) {
    const placed = run.context.placement[searchRow(row)];
    if (!placed)
      throw new StageError('INTERNAL', 'the placement has no row for the search of tools', { stage: stage.id });
    const { fallback: _, degrade: __, ...bare } = stage;
    const by = { kind: 'tool-search', model: 'tool-search', with: searchOptions(plan) };
    const called: StagePlan = run.deadline.limit({ ...bare, ...by });
    const path = `${at.prefix}${row}/tool-search`;
    const shown = { type: stage.id, summary: `${at.prefix}${row} · search of ${plan.tools.length} tools` };
    const input = searchInput(plan.tools, prompt);
    const { output } = await at.host.runStage(called, input, callOf(run, called, path), placed, shown);
    kept.end(output.names as Json);
  }
  return kept.value as unknown as readonly string[];
}

/** What the model reads of a search. */
export const foundText = (tools: readonly ToolPlan[], names: readonly string[]): string =>
  names.length === 0
    ? 'There is no such tool.'
    : ['These tools can be called now:', ...tools.filter(({ name }) => names.includes(name)).map(lineOf)].join('\n');

const lineOf = ({ name, description }: ToolPlan): string => `${name}: ${description}`;

/** The offered tools after a search: those found last, within the limit. */
export function withFound(
  { toolSearch }: AgentPlan,
  offered: readonly string[],
  found: readonly string[],
): readonly string[] {
  const all = [...offered.filter((name) => !found.includes(name)), ...found];
  return all.slice(-MOST_SEARCHES * (toolSearch?.shown ?? 0));
}
