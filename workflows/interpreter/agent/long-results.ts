import type { Artifact } from '../../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { freeName, resultRow, type StagePlan, type StageTool, type ToolPlan } from '../../../pipelines/plan/index.js';
import type { WholeResult } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';
import type { Wholes } from './kept.js';

/** Names of the tool with which the model reads a long result: the first that no tool of the agent has. */
const READ = ['read_result', 'read_whole_result'];

export const readerName = (tools: readonly ToolPlan[]): string => freeName(READ, tools);

/**
 * Name of a further long result: its number, or, in a session, a part of its content's digest. Other runs of the session name theirs too, some at the same
 * time, and their messages stay in the conversation.
 */
export const nameOfResult = (number: number, { sha256 }: Artifact, inSession = false): string =>
  inSession ? `r${sha256.slice(0, 8)}` : `r${number}`;

/** The agent with the long results that its conversation has by now, and the tool that reads them. */
export function withWholes(agent: Agent, wholes: Wholes | undefined): Agent {
  if (!wholes || wholes === agent.wholes) return agent;
  const { plan } = agent;
  return { ...agent, wholes, plan: agent.wholes ? plan : { ...plan, tools: [...plan.tools, reader(agent)] } };
}

/** The tool that reads a long result in parts. */
const reader = ({ stage, plan, reading = readerName(plan.tools) }: Agent): StageTool => ({
  name: reading,
  description: 'Reads a part of a long result, from a character on, or finds a text in it',
  schema: {
    type: 'object',
    properties: {
      result: { type: 'string', description: 'Name of the result, such as r1' },
      from: { type: 'integer', minimum: 0, description: 'First character to read' },
      find: { type: 'string', description: 'Text to look for, instead of reading from a character on' },
    },
    required: ['result'],
    additionalProperties: false,
  },
  policy: stage.policy,
  onFailure: 'tell',
  by: 'stage',
  kind: 'result',
  model: 'result',
  with: {},
  result: 'text',
});

/** Input of the call that reads; undefined for a name that no result has. */
export function readInput(
  wholes: Wholes,
  { result, from, find }: JsonObject,
  characters: number | undefined,
): JsonObject | undefined {
  const artifact = typeof result === 'string' && Object.hasOwn(wholes, result) ? wholes[result] : undefined;
  if (!artifact) return undefined;
  return {
    read: artifact as unknown as Json,
    ...(from !== undefined && { from }),
    ...(find !== undefined && { find }),
    ...(characters !== undefined && { characters }),
  };
}

/** What the conversation has of a long result. */
export const beginningOf = ({ beginning, characters }: WholeResult): string =>
  `${beginning}\n[The first ${beginning.length} of ${characters} characters.]`;

/** How the model gets at the rest. */
export const howToRead = (name: string, whole: string): string =>
  `[Read more with ${name}: {"result": "${whole}", "from": …} or {"result": "${whole}", "find": "…"}.]`;

/** Stores texts as artifacts: one call. */
export async function keepTexts(
  { run, stage, row }: Agent,
  at: At,
  texts: readonly string[],
  path: string,
): Promise<readonly WholeResult[]> {
  const placed = run.context.placement[resultRow(row)];
  if (!placed) throw new StageError('INTERNAL', 'the placement has no row for long results', { stage: stage.id });
  const { fallback: _, degrade: __, ...bare } = stage;
  const called: StagePlan = run.deadline.limit({ ...bare, kind: 'result', model: 'result', with: {} });
  const shown = { type: stage.id, summary: `${path} · keep long results` };
  const { output } = await at.host.runStage(called, { put: texts }, callOf(run, called, path), placed, shown);
  return output.stored as unknown as readonly WholeResult[];
}
