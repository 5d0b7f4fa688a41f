import type { ContinuousTable, Load } from '../simulator/index.js';
import { numberAt } from './number-at.js';
import { OncePerLoad } from './once-per-load.js';
import { type Calling, callsAt, keyOf, runsOf, typicalFor } from './own-runs.js';
import { ascending, type Sizes } from './sizes-of-calls.js';

/** The tokens of a stage's calls, each with the prompt and the answer of one run. */
export interface TokensOfCalls {
  /** Of a call on average, prompt and answer. */
  readonly tokens: number;
  /** The runs whose calls fit, how many calls count for each of them (absent: one), and what share of all calls these are. */
  readonly runs: Int32Array;
  readonly calls: Float64Array | undefined;
  readonly share: number;
  /** Of the prompts of these calls. */
  readonly prompts: Sizes;
  /** Steps of one of these calls on average: tokens after the first, which the prompt yields unless another replica has processed it. */
  readonly steps: number;
  /** The sum, over its steps, of the tokens that it has in the cache, on average: long answers are there for more steps. */
  readonly cached: number;
  /** Most tokens that one of them has in the cache. */
  readonly longest: number;
}

const known = new OncePerLoad<TokensOfCalls>();

/**
 * Of a stage's calls, those that fit a server with a cache of so many tokens: it is never given the others.
 *
 * A sequence begins with its prompt in the cache, and each of its m steps adds a token: over its steps it has m·(prompt + m / 2).
 */
export function tokensOfCalls(load: Load, table: ContinuousTable, stage: Calling, mostTokens: number): TokensOfCalls {
  const { columnIn, columnOut, typicalIn, typicalOut, part } = table;
  const typical = (column: string, tokens: number) => typicalFor(load, stage.pipeline, column, tokens);
  const typicals = [typical(columnIn, typicalIn), typical(columnOut, typicalOut)];
  const key = [...keyOf(stage), 'of', columnIn, columnOut, ...typicals, part];
  const all = known.get(load, key, () => counted(load, table, stage, Number.POSITIVE_INFINITY));
  if (all.longest <= mostTokens) return all;
  return known.get(load, [...key, mostTokens], () => counted(load, table, stage, mostTokens));
}

function counted(load: Load, table: ContinuousTable, stage: Calling, mostTokens: number): TokensOfCalls {
  const { part } = table;
  const tokensIn = numberAt(load, table.columnIn, table.typicalIn);
  const tokensOut = part === 'prefill' ? () => 0 : numberAt(load, table.columnOut, table.typicalOut);
  const callsOf = callsAt(load, stage);
  const fitting: number[] = [];
  let [all, tokens, calls, steps, cached, longest] = [0, 0, 0, 0, 0, 0];
  for (const run of runsOf(load, stage.pipeline)) {
    const each = callsOf?.(run) ?? 1;
    const read = tokensIn(run);
    const made = tokensOut(run);
    all += each;
    tokens += each * (read + made);
    if (read + made > mostTokens) continue;
    const more = part === 'prefill' ? 0 : Math.max(0, made - 1) + (part === 'decode' ? 1 : 0);
    fitting.push(run);
    calls += each;
    steps += each * more;
    cached += each * more * (read + more / 2);
    longest = Math.max(longest, read + Math.max(made, more));
  }
  const runs = Int32Array.from(fitting);
  const counts = callsOf && Float64Array.from(runs, callsOf);
  return {
    tokens: all > 0 ? tokens / all : 0,
    runs,
    calls: counts,
    share: all > 0 ? calls / all : 1,
    prompts: ascending(Float64Array.from(runs, tokensIn), counts),
    steps: calls > 0 ? steps / calls : 0,
    cached: calls > 0 ? cached / calls : 0,
    longest,
  };
}
