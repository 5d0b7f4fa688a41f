import type { PricePlan } from '../plan/agent.js';
import type { TokenUsage } from './stage-outcome.js';
import type { StageRecord } from './stage-record.js';

/** Sum of the usage of two sets of calls; servers that report none add nothing. */
export function usageSum(a: TokenUsage | undefined, b: TokenUsage | undefined): TokenUsage | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const sum = (key: keyof TokenUsage) =>
    a[key] === undefined && b[key] === undefined ? {} : { [key]: (a[key] ?? 0) + (b[key] ?? 0) };
  return { ...sum('inputTokens'), ...sum('outputTokens'), ...sum('cost') };
}

/** Usage of a run, its child runs included: the sum of its rows. Undefined if no server has reported any. */
export const usageOfRows = (rows: readonly Pick<StageRecord, 'usage'>[]): TokenUsage | undefined =>
  rows.map(({ usage }) => usage).reduce<TokenUsage | undefined>(usageSum, undefined);

const MILLION = 1_000_000;

/** Cost of tokens at a price per million. */
export const costAt = (price: PricePlan, { inputTokens = 0, outputTokens = 0 }: TokenUsage): number =>
  (inputTokens * price.input + outputTokens * price.output) / MILLION;

/** The usage of a call with its cost, if its pool has a price and it has none yet. */
export const withCost = (usage: TokenUsage | undefined, price: PricePlan | undefined): TokenUsage | undefined =>
  usage === undefined || price === undefined || usage.cost !== undefined
    ? usage
    : { ...usage, cost: costAt(price, usage) };
