import type { PlacedPool, PlacementDocument } from '../document/index.js';
import type { Inventory } from '../inventory/index.js';
import { spellBytes } from '../source/index.js';
import {
  bar,
  figureName,
  lossName,
  money,
  nextEuro,
  percent,
  prefixLines,
  robustLine,
  round,
  spellShare,
  type Table,
} from './words.js';

/** Devices drawn one by one; beyond that, the first of each group of equal ones. */
const MOST_DRAWN = 32;
/** A placement as text: the decision, the picture, the predictions, and the next step. `table` lays out columns. */
export function placementText(placement: PlacementDocument, inventory: Inventory, table: Table): string {
  const { pools, predicted, bottleneck, degraded, robustness, assumptions, stages } = placement;
  const blocks = [
    summary(placement),
    table(
      ['model', 'variant', 'replicas', 'devices', 'batch', 'memory', 'quality'],
      pools.map((pool) => [
        pool.model,
        pool.variant,
        pool.replicas.length,
        devicesOf(pool),
        pool.maxBatch,
        spellBytes(pool.memoryBytes),
        pool.quality,
      ]),
    ),
    picture(placement, inventory, table),
    table(
      ['stage', 'served by', 'wait ms', 'wait p99', 'service ms', 'batch'],
      Object.entries(predicted.stages).map(([stage, { waitMs, waitP99Ms, serviceMs, batch }]) => [
        stage,
        stages[stage] ?? '',
        round(waitMs),
        round(waitP99Ms),
        round(serviceMs),
        batch,
      ]),
    ),
    ['Why', ...pools.map(({ model, reason }) => `  ${model}: ${reason}`)].join('\n'),
    ...block('Prefix caches', prefixLines(placement)),
    [
      `Bottleneck  ${bottleneck.model}: ${bottleneck.reason}`,
      `Next euro   ${nextEuro(placement)}`,
      `50 % slower ${robustLine(robustness.slowerBy50Percent)}`,
      `Twice the rate ${robustLine(robustness.twiceTheRate)}`,
    ].join('\n'),
    [
      'When a device is lost',
      ...degraded.map(({ without, predicted: left, shedShare, lost }) =>
        left === null
          ? `  ${without}: no replica of ${lost.join(', ')} is left`
          : `  ${without}: p99 ${round(left.p99Ms)} ms${shedShare > 0 ? `; refuse ${percent(shedShare)} of the runs to keep the objective` : ', the objective holds'}`,
      ),
    ].join('\n'),
    ...block('Warnings', placement.warnings),
    ...block('Assumptions', assumptions),
  ];
  return blocks.join('\n\n');
}

/** Lines under a heading; nothing without lines. */
const block = (heading: string, lines: readonly string[]): string[] =>
  lines.length > 0 ? [[heading, ...lines.map((line) => `  ${line}`)].join('\n')] : [];

function summary(placement: PlacementDocument): string {
  const { predicted, slo, objective, ratePerSecond, bound, gap, optimal, version, costPerHour } = placement;
  const objectives = [
    ...(slo.p95Ms === undefined ? [] : [`p95 <= ${slo.p95Ms} ms`]),
    ...(slo.p99Ms === undefined ? [] : [`p99 <= ${slo.p99Ms} ms`]),
  ].map((each) => `, ${each}`);
  const rate = `${round(ratePerSecond)} runs a second`;
  const limit =
    objective === 'cost'
      ? `no placement costs less than ${money(bound, placement)}`
      : `no placement on these devices holds more than ${round(bound)} a second`;
  return [
    `Placement ${version}: ${rate} for ${money(costPerHour, placement)}${objectives.join('')}`,
    `Predicted   p50 ${round(predicted.p50Ms)} ms, p95 ${round(predicted.p95Ms)} ms, p99 ${round(predicted.p99Ms)} ms, ${round(predicted.throughputPerSecond)} of ${round(predicted.arrivedPerSecond)} runs a second end`,
    ...Object.entries(predicted.pipelines ?? {}).map(
      ([name, of]) =>
        `            ${name} p50 ${round(of.p50Ms)} ms, p95 ${round(of.p95Ms)} ms, p99 ${round(of.p99Ms)} ms`,
    ),
    ...(slo.stages ?? []).map((limit, i) => {
      const { ms = 0 } = predicted.figures?.[i] ?? {};
      return `            ${figureName(limit)} ${round(ms)} ms, at most ${round(limit.ms)} ms`;
    }),
    ...qualityLines(placement),
    ...goodputLines(placement),
    ...budgetLines(placement),
    ...(placement.worstLoss
      ? [
          `Survives    any one lost ${lossName(placement)}; the worst, without ${placement.worstLoss.without}: p99 ${round(placement.worstLoss.predicted.p99Ms)} ms`,
        ]
      : []),
    ...(placement.refusedShare > 0
      ? [`Refused     ${percent(placement.refusedShare)} of the runs fit no device's memory; see Warnings`]
      : []),
    ...(predicted.preemptionsPerRun > 0.005
      ? [`Preempted   ${round(predicted.preemptionsPerRun)} times a run: the key-value cache is full`]
      : []),
    optimal
      ? `Optimal     everything cheaper was tried: ${limit}`
      : `Bound       ${limit}; this is within ${percent(gap)} of it`,
  ].join('\n');
}

function qualityLines({ quality = {}, slo }: PlacementDocument): string[] {
  const least = slo.quality === undefined ? '' : `, at least ${slo.quality}`;
  return Object.entries(quality).map(
    ([name, of], i) =>
      `${i === 0 ? 'Quality     ' : '            '}${name} ${Number(of.toFixed(4))} from end to end${least}`,
  );
}

function goodputLines({ predicted, slo }: PlacementDocument): string[] {
  const { attainment, goodputPerSecond, worstMinute } = predicted;
  if (attainment === undefined || goodputPerSecond === undefined) return [];
  const least = (share: number | undefined) => (share === undefined ? '' : `, at least ${percent(share)}`);
  const all = `Goodput     ${round(goodputPerSecond)} runs a second meet every objective: ${percent(attainment)}${least(slo.goodput)}`;
  if (worstMinute === undefined) return [all];
  const { fromS, arrivedPerSecond, attainment: share } = worstMinute;
  return [
    all,
    `            in the worst minute, from ${fromS} s with ${round(arrivedPerSecond)} a second, ${percent(share)}${least(slo.worstMinute)}`,
  ];
}

function budgetLines({ predicted, slo }: PlacementDocument): string[] {
  const most = slo.errorBudget === undefined ? '' : `, at most ${percent(slo.errorBudget)}`;
  return (predicted.errorBudgets ?? []).map(
    ({ of, beyond, spent }, i) =>
      `${i === 0 ? 'Budget      ' : '            '}${of} spends ${percent(spent)} of its error budget${most}: ${spellShare(beyond)} of the runs are beyond it`,
  );
}

function devicesOf({ replicas }: PlacedPool): string {
  const ids = replicas.map(({ devices }) => devices.join('+'));
  return ids.length <= 4 ? ids.join(' ') : `${ids.slice(0, 3).join(' ')} and ${ids.length - 3} more`;
}

/** Devices by pools, with bars of memory and time used. */
function picture({ pools, predicted }: PlacementDocument, { devices }: Inventory, table: Table): string {
  const used = devices.filter(({ id }) => predicted.devices[id]);
  const rows = used.slice(0, MOST_DRAWN).map(({ id, kind, memoryBytes }) => {
    const { utilisation = 0, memoryBytes: taken = 0 } = predicted.devices[id] ?? {};
    const here = pools.map(({ replicas }) => {
      const count = replicas.filter((replica) => replica.devices.includes(id)).length;
      return count === 0 ? '·' : count === 1 ? '■' : `■${count}`;
    });
    return [
      id,
      kind,
      ...here,
      `${bar(taken / memoryBytes)} ${percent(taken / memoryBytes)}`,
      `${bar(utilisation)} ${percent(utilisation)}`,
    ];
  });
  const drawn = table(['device', 'kind', ...pools.map(({ model }) => model), 'memory', 'busy'], rows);
  const more = used.length > MOST_DRAWN ? [`… and ${used.length - MOST_DRAWN} devices more`] : [];
  const idle = devices.length - used.length;
  return [drawn, ...more, ...(idle > 0 ? [`${idle} ${idle === 1 ? 'device is' : 'devices are'} not needed`] : [])].join(
    '\n',
  );
}

/** One line that compares a placement with another, as the answer to a what-if question. */
export function comparisonLine(name: string, other: PlacementDocument, base: PlacementDocument): string {
  const change = (value: number, from: number) => `${value >= from ? '+' : ''}${(value - from).toFixed(2)}`;
  return [
    `${name}: ${round(other.ratePerSecond)} runs a second for ${money(other.costPerHour, other)} (${change(other.costPerHour, base.costPerHour)})`,
    `p99 ${round(other.predicted.p99Ms)} ms`,
    other.pools.map(({ model, replicas }) => `${replicas.length} x ${model}`).join(', '),
  ].join('; ');
}
