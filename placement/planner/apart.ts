import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { type ContinuousProfile, chunkTokensOf } from '../profiles/index.js';
import { type Load, rateOf, type SimulatedStage, type Table } from '../simulator/index.js';
import { nearest } from '../source/index.js';
import { callTimes } from './call-times.js';
import type { Draft } from './drafts.js';
import { callsPerRun, type HandsTo } from './problem.js';
import { tokensOfCalls } from './tokens-of-calls.js';

/**
 * By model: the variant in which it is served apart, by one pool that processes prompts and another that generates. Both need the
 * same one: a cache has the form of its variant. All other models are served together.
 */
export type Apart = Readonly<Record<string, string>>;

/** The name of the pool that processes the prompts of a model served apart; the other one has the model's name. */
const promptPool = (model: string): string => `${model}.prefill`;

/** Pools and their drafts, those of models and behind them those for prompts. */
interface Divided {
  readonly models: readonly string[];
  readonly drafts: readonly (readonly Draft[])[];
  /** By pool. */
  readonly handsTo: readonly (HandsTo | undefined)[];
}

/** Steps' worth of prompts that a replica has at once: those that it processes, and those that are pulled meanwhile. */
const STEPS_AT_ONCE = 2;

/**
 * Divides the drafts of models that are served apart: their pool keeps the generation, and one more pool processes the
 * prompts. Throws `INVALID_INPUT` for a model that no stage uses, and `INVALID_PROFILE` for one that counts no tokens or whose cache
 * has no known size.
 */
export function divided(
  models: readonly string[],
  drafts: readonly (readonly Draft[])[],
  stages: readonly SimulatedStage[],
  load: Load,
  apart: Apart = {},
): Divided {
  const mistakes: FieldError[] = [];
  const names = [...models];
  const all = [...drafts];
  const handsTo: (HandsTo | undefined)[] = models.map(() => undefined);
  for (const [model, variant] of Object.entries(apart)) {
    const p = models.indexOf(model);
    const name = promptPool(model);
    const own = (drafts[p] ?? []).filter(({ profile }) => profile.variant === variant);
    const wrong = refusalOf(model, models, own);
    if (wrong !== undefined) {
      mistakes.push(wrong);
      continue;
    }
    const prompts = own.map((draft) => part(draft, stages, load, 'prefill'));
    all[p] = own.map((draft) => part(draft, stages, load, 'decode'));
    handsTo[names.push(name) - 1] = handsToOf(p, own, stages, load);
    all.push(prompts);
  }
  if (mistakes.length > 0) {
    const [{ field } = { field: '' }] = mistakes;
    throw invalidFields(field === '--serve' ? 'INVALID_INPUT' : 'INVALID_PROFILE', mistakes);
  }
  return { models: names, drafts: all, handsTo };
}

function refusalOf(model: string, models: readonly string[], own: readonly Draft[]): FieldError | undefined {
  if (!models.includes(model)) {
    return { field: '--serve', message: `no stage uses a model "${model}"${nearest(model, models)}` };
  }
  if (models.includes(promptPool(model))) {
    const message = `${model}: the pool for its prompts would be called "${promptPool(model)}", as another model is: rename that`;
    return { field: '--serve', message };
  }
  for (const { source, profile } of own) {
    if (profile.batching === 'dynamic') {
      const message = `"${model}" cannot be served apart: only a profile with tokens (batching "continuous") tells prompts from answers`;
      return { field: source.at(['batching']), message };
    }
    if (!profile.memory?.perToken) {
      const message = `"${model}" is to be served apart: give memory.perToken, the size of a token in the key-value cache, which is moved`;
      return { field: source.at(['memory']), message };
    }
  }
  if (own.length > 0) return undefined;
  return { field: '--serve', message: `${model}: none of its variants can be served apart on these devices` };
}

/** A draft for one part of its calls. */
function part(draft: Draft, stages: readonly SimulatedStage[], load: Load, only: 'prefill' | 'decode'): Draft {
  const tables = draft.tables.map((table): Table | undefined =>
    table?.batching === 'continuous'
      ? // A replica that generates processes no prompts, and pulls caches as a whole.
        { ...table, part: only, routing: only === 'decode' ? undefined : table.routing }
      : table,
  );
  const times = draft.times.map((time, v) => {
    const [table, stage] = [tables[v], stages[v]];
    return time && table && stage ? callTimes(table, load, time.batchMs.length, stage, draft.mostTokens) : time;
  });
  const chunkTokens = chunkTokensOf(draft.profile as ContinuousProfile);
  const tokens = Math.max(1, ...times.map((time) => time?.tokens ?? 0));
  const together = chunkTokens > 0 ? Math.max(1, Math.ceil(chunkTokens / tokens)) : 1;
  return { ...draft, tables, times, ...(only === 'prefill' && { batches: [STEPS_AT_ONCE * together] }) };
}

function handsToOf(pool: number, own: readonly Draft[], stages: readonly SimulatedStage[], load: Load): HandsTo {
  const [draft] = own;
  const memory = draft?.profile.batching === 'continuous' ? draft.profile.memory : undefined;
  const counts = new Float64Array(1 + Math.max(...stages.map(({ pipeline }) => pipeline)));
  for (const p of load.pipelines) counts[p] = (counts[p] as number) + 1;
  let calls = 0;
  let tokens = 0;
  for (const [v, stage] of stages.entries()) {
    const table = draft?.tables[v];
    if (stage.pool !== pool || table?.batching !== 'continuous') continue;
    const share = (counts[stage.pipeline] as number) / Math.max(1, load.timesMs.length);
    const each = share * callsPerRun(stages, v);
    calls += each;
    tokens += each * tokensOfCalls(load, { ...table, part: 'prefill' }, stage, Number.POSITIVE_INFINITY).tokens;
  }
  return {
    pool,
    tokenBytes: memory?.perToken ?? 0,
    callsPerRun: calls,
    callsPerSecond: calls * rateOf(load),
    meanTokens: calls > 0 ? tokens / calls : 0,
  };
}
