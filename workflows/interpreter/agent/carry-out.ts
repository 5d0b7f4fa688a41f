import type { Json } from '../../../pipelines/json.js';
import type { ToolPlan } from '../../../pipelines/plan/index.js';
import { resultText, type TokenUsage, usageOfRows, withCost } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { type At, STOPPED, type Stopped } from '../state.js';
import { placedOf, runPipeline, runTool } from './call-tool.js';
import type { Agent } from './candidate.js';
import { handedOver } from './handoffs.js';
import { beginningOf, keepTexts } from './long-results.js';
import type { ToolRecord } from './progress.js';
import { type AskingCall, callAsking, mayAsk } from './questions.js';
import { foundText } from './tool-search.js';

/**
 * Maximum result length where long ones cannot be kept apart, in characters: a fifth of a context of 64k tokens, so that
 * there is room for an answer.
 */
const LONGEST_RESULT = 50_000;

/** What a call does besides its result. */
export interface BesideResult {
  readonly used?: TokenUsage;
  /** Names of tools that a search has found. */
  readonly found?: readonly string[];
  /** The member of the team that the conversation is handed over to. */
  readonly handoff?: string;
}

/** A result, or the beginning of a long one. */
type Result = Required<Pick<ToolRecord, 'result'>> & Pick<ToolRecord, 'whole'> & BesideResult;

type Carried = Omit<AskingCall, 'tool'>;

/** Makes a call that may be made; `STOPPED` if it waits for a person and the run takes a new history. */
export async function carryOut(agent: Agent, at: At, tool: ToolPlan, made: Carried): Promise<Result | Stopped> {
  const { path, call } = made;
  if (tool.by === 'stage' && tool.kind === 'handoff') return { result: handedOver(tool.model), handoff: tool.model };
  if (tool.by === 'pipeline') {
    const { output, stages } = await runPipeline(agent, at, tool, path, call);
    return { ...(await fitting(agent, at, path, output)), ...usedIn(usageOfRows(stages)) };
  }
  const outcome = mayAsk(tool)
    ? await callAsking(agent, at, { ...made, tool })
    : await runTool(agent, at, tool, path, call);
  if (outcome === STOPPED) return STOPPED;
  const { output, whole, usage } = outcome;
  const used = usedIn(withCost(usage, agent.run.context.placement[placedOf(agent.row, tool)]?.price));
  if (tool.kind === 'tool-search') {
    const found = output.names as readonly string[];
    return { result: foundText(agent.all ?? [], found), found };
  }
  if (whole) return { result: beginningOf(whole), whole: whole.artifact, ...used };
  const result = tool.result === undefined ? output : (output[tool.result] ?? null);
  return tool.kind === 'result' ? { result } : { ...(await fitting(agent, at, path, result)), ...used };
}

const usedIn = (used: TokenUsage | undefined): Pick<BesideResult, 'used'> => ({ ...(used && { used }) });

/** A result that a child run or another worker has returned: a long one is kept apart now. */
async function fitting(agent: Agent, at: At, path: string, result: Json): Promise<Result> {
  const text = resultText(result);
  const { resultCharacters: most } = agent;
  if (most === undefined && text.length > LONGEST_RESULT) {
    const message = `the result has ${text.length} characters, more than ${LONGEST_RESULT}: request less`;
    throw new StageError('RESULT_TOO_LARGE', message, { stage: agent.stage.id });
  }
  if (most === undefined || text.length <= most) return { result };
  const [whole] = await keepTexts(agent, at, [text], `${path}/result`);
  if (!whole) return { result };
  return { result: beginningOf({ ...whole, beginning: text.slice(0, most) }), whole: whole.artifact };
}
