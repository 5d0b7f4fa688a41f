import type { Json, JsonObject } from '../../../pipelines/json.js';
import {
  type AgentPlan,
  type StagePlan,
  type StageTool,
  serverRow,
  type ToolServerPlan,
  toolNameOf,
  transferName,
} from '../../../pipelines/plan/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { callOf } from '../call.js';
import { holds } from '../host.js';
import type { At } from '../state.js';
import type { Agent } from './candidate.js';

/** Failures of a list that concern its server alone. */
const OF_SERVER: ReadonlySet<string> = new Set([
  'TOOL_SERVER_UNAVAILABLE',
  'BACKEND_UNAVAILABLE',
  'OVERLOADED',
  'TOOLS_REFUSED',
  'TOOL_FAILED',
  'INVALID_INPUT',
  'INVALID_OUTPUT',
  'STAGE_TIMEOUT',
]);

/**
 * The plan with the tools of the agent's servers, listed once: an agent keeps this list until it ends, also in a new history. The model is
 * told of a server that cannot be asked, and goes on without it, unless its `onFailure` is `fail`. Throws
 * `INVALID_PIPELINE` for a requested tool that the server lacks, and for duplicate names.
 */
export async function withServers(agent: Agent, at: At): Promise<AgentPlan> {
  const { plan, stage } = agent;
  const { servers = [], tools } = plan;
  if (servers.length === 0) return plan;
  const kept = at.memo.below('tools');
  const away = at.memo.below('tools-away');
  if (kept.value === undefined) {
    const lacking: string[] = [];
    const found = await Promise.all(servers.map((server) => listed(agent, at, server, lacking)));
    kept.end(found.flat() as unknown as Json);
    if (lacking.length > 0) away.end(lacking);
  }
  const all = [...tools, ...(kept.value as unknown as readonly StageTool[])];
  const twice = all.find(({ name }, i) => all.findIndex((other) => other.name === name) !== i);
  if (twice) throw wrong(stage.id, `two of its tools are named "${twice.name}"; give the tools of a server a prefix`);
  const lacking = (away.value ?? []) as readonly string[];
  if (lacking.length === 0) return { ...plan, tools: all };
  const told = (instructions = '') => [instructions, ...lacking].join('\n\n').trim();
  const team = plan.team?.map((member) => ({ ...member, instructions: told(member.instructions) }));
  return { ...plan, tools: all, instructions: told(plan.instructions), ...(team && { team }) };
}

/** What the model is told of tools that it does not have. The failure's message may be text of the server: it instructs no model. */
const lackOf = ({ server }: ToolServerPlan, { code }: StageError): string =>
  `The tools of "${server}" are not available now (${code}). What would need them cannot be done: say so.`;

interface Listed {
  readonly name: string;
  /** Where two names of the server’s would be the same for a model. Workers before this one did not tell them apart. */
  readonly as?: string;
  readonly description: string;
  readonly schema: JsonObject;
}

async function listed(
  { run, stage, plan, row }: Agent,
  at: At,
  from: ToolServerPlan,
  lacking: string[],
): Promise<StageTool[]> {
  const { server, only, prefix = '', policy, approval, elicitation, onFailure } = from;
  const placed = run.context.placement[serverRow(row, server)];
  if (!placed) throw new StageError('INTERNAL', `the placement has no row for "${server}"`, { stage: stage.id });
  const { fallback: _, degrade: __, ...bare } = stage;
  // A model would take a server's tool of this name for the handoff.
  const reserved = plan.team?.map(({ name }) => transferName(name));
  const options: JsonObject = {
    ...(only && { only }),
    // By the same connection as its calls: a server may offer other tools to clients that it can ask.
    ...(elicitation && { asks: elicitation.timeoutMs }),
    ...(prefix !== '' && { prefix }),
    ...(reserved && { reserved }),
  };
  // Listing has no effects, so it is retried like the stage's own calls.
  const called: StagePlan = run.deadline.limit({ ...bare, kind: 'mcp-tools', model: server, with: options });
  const path = `${at.prefix}${row}/tools/${server}`;
  const shown = { type: stage.id, summary: `${at.prefix}${row} · tools of ${server}` };
  let output: JsonObject;
  try {
    ({ output } = await at.host.runStage(called, {}, callOf(run, called, path), placed, shown));
  } catch (error) {
    const isOwn = error instanceof StageError && OF_SERVER.has(error.code) && !run.deadline.isOver(error);
    if (!isOwn || onFailure === 'fail' || !holds(at.host, 'tools-may-lack')) throw error;
    lacking.push(lackOf(from, error));
    return [];
  }
  const found = output.tools as unknown as readonly Listed[];
  const missing = only?.find((name) => !found.some((tool) => tool.name === name));
  if (missing !== undefined) throw wrong(stage.id, `the MCP server "${server}" has no tool "${missing}"`);
  return found
    .filter(({ name }) => only?.includes(name) ?? true)
    .map(({ name, as = toolNameOf(`${prefix}${name}`), description, schema }) => ({
      name: as,
      description,
      schema,
      policy,
      ...(approval && { approval }),
      onFailure,
      by: 'stage',
      kind: 'mcp',
      model: server,
      with: { tool: name, ...(elicitation && { asks: elicitation.timeoutMs }) },
      result: 'result',
    }));
}

const wrong = (stage: string, message: string): StageError =>
  new StageError('INVALID_PIPELINE', `stage "${stage}": ${message}`, { stage });
