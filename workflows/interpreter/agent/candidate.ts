import type { AgentPlan, StagePlan } from '../../../pipelines/plan/index.js';
import type { Run } from '../state.js';

/** An agent at work: one stage's, or that of one of its alternatives. */
export interface Agent {
  readonly run: Run;
  /** With the policy of its model calls. */
  readonly stage: StagePlan;
  /** With the tools of its servers among its own. */
  readonly plan: AgentPlan;
  /** Its row of the placement, which tells the candidates of a stage apart: `answer`, `answer~1`. */
  readonly row: string;
  /** No other candidate goes on when it fails. */
  readonly last: boolean;
}
