import type { PlacementDocument, StageFigure } from '../document/index.js';

/** Lays out columns. */
export type Table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) => string;

/** Characters of a bar. */
const BAR = 10;

/** As `predicted` spells the time of runs that never end, or more. */
const NEVER_MS = 1e15;

export const round = (value: number): number =>
  value >= NEVER_MS ? Number.POSITIVE_INFINITY : Number(value.toFixed(value < 10 ? 1 : 0));
export const percent = (share: number): string => `${round(100 * share)} %`;
/** A share that may be a small part of a percent: `0.25 %`. */
export const spellShare = (share: number): string => `${Number((100 * share).toFixed(2))} %`;
export const money = (value: number, { currency }: PlacementDocument): string =>
  `${value.toFixed(2)} ${currency} an hour`;

export function bar(share: number): string {
  const filled = Math.max(0, Math.min(BAR, Math.round(share * BAR)));
  return '█'.repeat(filled) + '░'.repeat(BAR - filled);
}

export const robustLine = ({ holds, p99Ms, shedShare }: PlacementDocument['robustness']['twiceTheRate']): string =>
  holds
    ? `holds: p99 ${round(p99Ms)} ms`
    : shedShare >= 1
      ? `does not hold: p99 ${round(p99Ms)} ms, and refusing runs does not help`
      : `does not hold: p99 ${round(p99Ms)} ms; refuse ${percent(shedShare)} of the runs to keep the objective`;

/** `voice/answer ttft p99`. */
export const figureName = ({ stage, metric, percentile }: StageFigure): string => `${stage} ${metric} p${percentile}`;

/** What one device more would do: to the objective that is used up most. */
export function nextEuro(placement: PlacementDocument): string {
  const { next, predicted, slo } = placement;
  if (!next) return 'no device more lowers the 99th percentile';
  const price = money(next.pricePerHour, placement);
  const figures = (slo.stages ?? []).map((limit, i) => {
    const before = predicted.figures?.[i]?.ms ?? 0;
    return { name: figureName(limit), used: before / limit.ms, before, after: next.figures?.[i]?.ms ?? before };
  });
  const p99 = { name: 'p99', used: predicted.p99Ms / (slo.p99Ms ?? Number.POSITIVE_INFINITY) };
  const all = [{ ...p99, before: predicted.p99Ms, after: next.p99Ms }, ...figures];
  const [most = all[0]] = all.toSorted((a, b) => b.used - a.used);
  const change = most ? `${most.name} ${round(most.before)} -> ${round(most.after)} ms` : '';
  return `one ${next.add} more for ${next.for} (${price}): ${change}`;
}

const STATED_BY = { option: '--affinity', models: 'the models file', default: 'the default of pools' } as const;

/** Of each pool with prefix caches: what of its prompts they have, what says so, and what another routing would do. */
export const prefixLines = ({ pools }: PlacementDocument): string[] =>
  pools.flatMap(({ model, prefixCache, replicas }) => {
    if (prefixCache === undefined) return [];
    const { affinity, by, share, otherwise, from } = prefixCache;
    const how = affinity === 'none' ? 'calls to the least loaded replica' : `affinity "${affinity}"`;
    const other = affinity === 'none' ? 'with affinity "prefix"' : 'without affinity';
    // Pools have an affinity by default; that of a router before a model that is served apart is not known.
    const stated = by === 'default' && affinity === 'none' ? 'its router is not known' : STATED_BY[by];
    return [
      `${model}: prefix caches have ${percent(share)} of its prompts' tokens, by ${from.join(' and ')} of the load for ${how} (${stated}) and ${replicas.length} ${replicas.length === 1 ? 'replica' : 'replicas'}; ${other} ${percent(otherwise)}`,
    ];
  });

/** What a placement survives the loss of: what is demanded, else what may be taken away. */
export const lossName = ({ slo }: PlacementDocument): string => slo.survive ?? 'spot device';
