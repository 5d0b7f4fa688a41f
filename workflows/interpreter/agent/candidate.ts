import type { AgentPlan, StagePlan, ToolPlan } from '../../../pipelines/plan/index.js';
import type { Run } from '../state.js';
import type { Memory, Wholes } from './kept.js';

/** A running agent: a stage's, or that of one of its alternatives. */
export interface Agent {
  readonly run: Run;
  /** With the policy of its model calls. */
  readonly stage: StagePlan;
  /** Including the tools of its servers. */
  readonly plan: AgentPlan;
  /** Key of its placement row, which identifies the candidate within its stage: `answer`, `answer~1`. */
  readonly row: string;
  /** No other candidate follows if it fails. */
  readonly last: boolean;
  /** All tools, where the plan has those that the model sees. */
  readonly all?: readonly ToolPlan[];
  /** Name of the session that it is in. */
  readonly session?: string;
  /** What is remembered of the user whom it talks with. */
  readonly memory?: Memory;
  /** Long results that the model can read. */
  readonly wholes?: Wholes;
  /** Name of the tool that reads them: one that no tool of the agent has. Absent: the tools are not known yet. */
  readonly reading?: string;
  /** Maximum characters of a result in the conversation; absent where long results cannot be kept apart. */
  readonly resultCharacters?: number;
}
