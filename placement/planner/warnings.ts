import type { Load, SimulatedStage } from '../simulator/index.js';
import type { Draft } from './drafts.js';
import { isStated, numberAt } from './number-at.js';
import { runsOf } from './own-runs.js';

/** Sizes beyond the measured range by this factor are far from it. */
const FAR = 1.5;
/** Average tokens in the cache above which a step takes longer than one with a short context. */
const LONG_CONTEXT = 512;

const quantile = (values: Float64Array, share: number): number => {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
};

/** By column, its numbers in the runs that call a model, the typical one for those that lack it; undefined: the load has no such column. */
type Column = (name: string, typical?: number) => Float64Array | undefined;

/** Warnings about a load far from the range in which a model was measured: its times are extrapolated there. */
export function rangeWarnings(
  models: readonly string[],
  drafts: readonly (readonly Draft[])[],
  stages: readonly SimulatedStage[],
  load: Load,
): readonly string[] {
  const known = new Map<string, Float64Array>();
  const warnings = models.flatMap((model, p) =>
    (drafts[p] ?? []).flatMap(({ profile, tables }) => {
      const where = model;
      const pipelines = new Set(stages.flatMap(({ pipeline }, v) => (tables[v] ? [pipeline] : [])));
      const values: Column = (name, typical = Number.NaN) => {
        if (!isStated(load, name)) return undefined;
        const key = [...pipelines, name, typical].join('|');
        const runs = () => [...pipelines].flatMap((pipeline) => [...runsOf(load, pipeline)]);
        const own = known.get(key) ?? Float64Array.from(runs(), numberAt(load, name, typical));
        known.set(key, own);
        return own;
      };
      if (profile.batching === 'dynamic') {
        const column = profile.size?.variable;
        const sizes = profile.latency.flatMap(({ size }) => size ?? []);
        return column === undefined ? [] : outside(values, column, sizes, `${where}: latency`);
      }
      return [
        ...outside(
          values,
          profile.size.in,
          profile.prefill.map(({ tokens }) => tokens),
          `${where}: prefill`,
        ),
        ...[profile.size.in, profile.size.out].flatMap((column) => withoutTokens(values, column, where)),
        ...context(profile, values, where),
      ];
    }),
  );
  return [...new Set(warnings)];
}

function outside(of: Column, column: string, measured: readonly number[], where: string): readonly string[] {
  const values = of(column);
  if (values === undefined || values.length === 0 || measured.length === 0) return [];
  const most = Math.max(...measured);
  // Few loads need a column to be sorted.
  if (!values.some((value) => value > FAR * most)) return [];
  const large = quantile(values, 0.95);
  if (!(large > FAR * most)) return [];
  return [
    `${where} was measured up to ${most} ${column}, and 5 % of the load have more than ${Math.round(large)}: measure there; until then the time is extrapolated`,
  ];
}

/** A call has a token of a prompt and of an answer at least. */
function withoutTokens(of: Column, column: string, where: string): readonly string[] {
  const none = of(column)?.filter((tokens) => tokens < 1).length ?? 0;
  if (none === 0) return [];
  return [
    `${where}: ${none} of the runs have less than one token in ${column}, which counts as one: were they answered?`,
  ];
}

function context(profile: Draft['profile'] & { batching: 'continuous' }, of: Column, where: string): readonly string[] {
  const { in: columnIn, out: columnOut, typicalIn = 0, typicalOut = 0 } = profile.size;
  const mean = (column: string, typical: number) => {
    const values = of(column, typical);
    return values && values.length > 0 ? values.reduce((sum, each) => sum + each, 0) / values.length : typical;
  };
  const average = mean(columnIn, typicalIn) + mean(columnOut, typicalOut) / 2;
  const measured = profile.decode.flatMap(({ tokens }) => tokens ?? []);
  if (measured.length === 0) {
    if (average <= LONG_CONTEXT) return [];
    return [
      `${where}: decode says nothing of the tokens in the cache, and the load has ${Math.round(average)} on average: steps may take much longer than predicted; measure decode by "tokens"`,
    ];
  }
  const most = Math.max(...measured);
  const least = Math.min(...measured);
  if (average > FAR * most) {
    return [
      `${where}: decode was measured up to ${most} tokens in the cache of a sequence, and the load has ${Math.round(average)} on average: measure there; until then the time is extrapolated`,
    ];
  }
  if (average * FAR * 2 < least) {
    return [
      `${where}: decode was measured from ${least} tokens in the cache of a sequence on, and the load has ${Math.round(average)} on average: measure there`,
    ];
  }
  return [];
}
