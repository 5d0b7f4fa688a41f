import type { z } from 'zod';
import type { AgentPlan, Plan, StagePlan, StageTool, Step, ToolPlan } from '../../pipelines/plan/index.js';
import type { agentSchema, planSchema } from '../../pipelines/plan/plan-schema.js';

/** The schema of plans and the types of plans say the same: the compiler refuses this file when one is changed alone. */

type Parsed = z.output<typeof planSchema>;
type ParsedStep = Parsed['stages'][number];

/** Types that differ in `readonly` and in `undefined` alone, to a depth that a plan's own fields need. */
type Plain<T, Depth extends readonly unknown[] = [1, 1, 1, 1]> = Depth extends readonly [unknown, ...infer Rest]
  ? T extends readonly (infer Item)[]
    ? readonly Plain<Item, Rest>[]
    : T extends object
      ? { readonly [K in keyof T]-?: Plain<Exclude<T[K], undefined>, Rest> }
      : T
  : unknown;

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const holds = <T extends true>(): T | undefined => undefined;

type OfKind<T, K> = T extends { kind: infer Kind } ? ([K] extends [Kind] ? T : never) : never;
type ParsedAgent = z.output<typeof agentSchema>;
type ParsedTool = Extract<ParsedAgent['tools'][number], { by: 'stage' }>;
type ParsedStage = Extract<ParsedStep, { policy: unknown }>;

export function schemaAndTypesAgree() {
  holds<Same<keyof Parsed, keyof Plan>>();
  holds<Same<keyof ParsedStage, keyof StagePlan>>();
  holds<Same<Plain<ParsedStage['policy']>['timeout'], Plain<StagePlan['policy']>['timeout']>>();
  holds<Same<keyof NonNullable<ParsedStage['cache']>, keyof NonNullable<StagePlan['cache']>>>();
  holds<Same<keyof ParsedStage['policy'], keyof StagePlan['policy']>>();
  holds<Same<keyof ParsedStage['policy']['retry'], keyof StagePlan['policy']['retry']>>();
  holds<Same<ParsedStage['policy']['execution'], StagePlan['policy']['execution']>>();
  holds<Same<ParsedStage['policy']['priority'], StagePlan['policy']['priority'] | undefined>>();
  holds<Same<keyof OfKind<ParsedStep, 'when'>, keyof OfKind<Step, 'when'>>>();
  holds<Same<keyof OfKind<ParsedStep, 'each'>, keyof OfKind<Step, 'each'>>>();
  holds<Same<keyof OfKind<ParsedStep, 'repeat'>, keyof OfKind<Step, 'repeat'>>>();
  holds<Same<keyof OfKind<ParsedStep, 'race'>, keyof OfKind<Step, 'race'>>>();
  holds<Same<keyof OfKind<ParsedStep, 'pipeline'>, keyof OfKind<Step, 'pipeline'>>>();
  holds<Same<keyof ParsedAgent, keyof AgentPlan>>();
  holds<Same<keyof ParsedTool, keyof StageTool>>();
  holds<Same<ParsedAgent['tools'][number]['by'], ToolPlan['by']>>();
  holds<Same<keyof NonNullable<ParsedAgent['budget']>, keyof NonNullable<AgentPlan['budget']>>>();
  // @ts-expect-error the comparison can fail
  holds<Same<keyof ParsedStage, keyof StagePlan | 'more'>>();
}
