import type { PlacementDocument } from '../document/index.js';
import type { Inventory } from '../inventory/index.js';
import { keptShare } from '../planner/index.js';
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

/** Rows of each part: with more of them the text would not fit on one screen. */
const MOST_ROWS = 6;
/** A limit of which so much is used leaves room for no cheaper step. */
const TIGHT = 0.85;

/** A limit of the plan and the share of it that is used. */
interface Limit {
  readonly name: string;
  readonly used: number;
  readonly detail: string;
}

/**
 * Why a placement is as it is, on one screen: what it promises, which limits it uses up, where money and time go, and
 * what one device more would do.
 *
 * @param inventory of its devices: without it, prices and memory are left out
 */
export function explanation(placement: PlacementDocument, inventory: Inventory | undefined, table: Table): string {
  const { version, ratePerSecond, costPerHour, bottleneck, robustness, warnings, optimal, gap, bound } = placement;
  const limits = limitsOf(placement, inventory).toSorted((a, b) => b.used - a.used);
  const binding = limits.filter(({ used }) => used >= TIGHT).map(({ name }) => name);
  const unit = placement.objective === 'cost' ? money(bound, placement) : `${round(bound)} runs a second`;
  const tight = binding.length === 0 ? [] : [`: ${binding.join(', ')}`];
  return [
    `Placement ${version}: ${round(ratePerSecond)} runs a second for ${money(costPerHour, placement)}`,
    optimal ? `Optimal: the bound is ${unit}` : `Within ${percent(gap)} of the bound, ${unit}`,
    '',
    `What binds${tight.join('') || ': nothing is used to more than 85 %; devices come in whole numbers'}`,
    table(
      ['limit', 'used', ''],
      limits.slice(0, MOST_ROWS).map(({ name, used, detail }) => [name, `${bar(used)} ${percent(used)}`, detail]),
    ),
    '',
    `Bottleneck: ${bottleneck.model}, ${bottleneck.reason}`,
    '',
    ...(inventory ? [costs(placement, inventory, table), ''] : []),
    times(placement, table),
    '',
    ...handovers(placement),
    ...prefixes(placement),
    'Why',
    ...placement.pools.slice(0, MOST_ROWS).map(({ model, reason }) => `  ${model}: ${reason}`),
    ...more(placement.pools.length),
    '',
    ...budgets(placement),
    `Next euro: ${nextEuro(placement)}`,
    `Twice the rate: ${robustLine(robustness.twiceTheRate)}`,
    `Worst loss: ${worstLossLine(placement)}`,
    ...(warnings.length > 0 ? [`Warnings: ${warnings.length}; "millrace place" prints them`] : []),
  ].join('\n');
}

const more = (count: number): string[] => (count > MOST_ROWS ? [`  … and ${count - MOST_ROWS} more`] : []);

function limitsOf(placement: PlacementDocument, inventory: Inventory | undefined): Limit[] {
  const { slo, predicted, pools, worstLoss, quality = {} } = placement;
  const objective = (name: string, limit: number | undefined, ms: number): Limit[] =>
    limit === undefined || limit === 0
      ? []
      : [{ name: `${name} objective`, used: ms / limit, detail: `${round(ms)} of ${round(limit)} ms` }];
  // Of the runs that may miss an objective, the part that does.
  const missed = (name: string, least: number | undefined, share: number | undefined): Limit[] =>
    least === undefined || share === undefined
      ? []
      : [
          {
            name: `${name} objective`,
            used: (1 - share) / (1 - least),
            detail: `${percent(share)} of at least ${percent(least)}`,
          },
        ];
  // Each of several pipelines has them alone.
  const wholeRuns = (of: Omit<PlacementDocument['predicted'], 'stages' | 'devices'>) =>
    of.pipelines === undefined
      ? [['', of] as const]
      : Object.entries(of.pipelines).map(([name, own]) => [`${name} `, own] as const);
  const objectives = (of: Omit<PlacementDocument['predicted'], 'stages' | 'devices'>, after = '') => [
    ...wholeRuns(of).flatMap(([name, own]) => [
      ...objective(`${name}p99${after}`, slo.p99Ms, own.p99Ms),
      ...objective(`${name}p95${after}`, slo.p95Ms, own.p95Ms),
    ]),
    ...(slo.stages ?? []).flatMap((limit, i) =>
      objective(`${figureName(limit)}${after}`, limit.ms, of.figures?.[i]?.ms ?? 0),
    ),
    ...missed(`goodput${after}`, slo.goodput && keptShare(slo.goodput, slo.errorBudget), of.attainment),
    ...(slo.errorBudget === undefined ? [] : budgetLimits(slo.errorBudget, of, after)),
    ...missed(`worst minute${after}`, slo.worstMinute, of.worstMinute?.attainment ?? of.attainment),
  ];
  const devices = Object.entries(predicted.devices);
  const busiest = devices.toSorted(([, a], [, b]) => b.utilisation - a.utilisation)[0];
  const floor = slo.qualityFloor ?? 0;
  const worst = Math.min(...pools.map(({ quality }) => quality));
  const full = devices.flatMap(([id, { memoryBytes }]) => {
    const memory = inventory?.devices.find((device) => device.id === id)?.memoryBytes;
    return memory ? [{ id, share: memoryBytes / memory }] : [];
  });
  const fullest = full.toSorted((a, b) => b.share - a.share)[0];
  return [
    ...objectives(predicted),
    ...(worstLoss ? objectives(worstLoss.predicted, ` without ${worstLoss.without},`) : []),
    ...(busiest ? [{ name: 'busiest device', used: busiest[1].utilisation, detail: busiest[0] }] : []),
    ...(fullest ? [{ name: 'fullest memory', used: fullest.share, detail: fullest.id }] : []),
    ...Object.entries(slo.quality ? quality : {}).map(([name, of]) => ({
      name: `quality of ${name}`,
      used: (slo.quality ?? 0) / of,
      detail: `${Number(of.toFixed(4))} where ${slo.quality} is the least`,
    })),
    ...(floor > 0 && worst > 0
      ? [{ name: 'quality floor', used: floor / worst, detail: `${worst} where ${floor} is the least` }]
      : []),
  ];
}

/** The error budgets of objectives with a time, where a plan may spend a part of them only; that of the goodput is its objective. */
const budgetLimits = (
  most: number,
  { errorBudgets = [] }: Pick<PlacementDocument['predicted'], 'errorBudgets'>,
  after: string,
): Limit[] =>
  errorBudgets
    .filter(({ of }) => of !== 'goodput')
    .map(({ of, beyond, spent }) => ({
      name: `${of} error budget${after}`,
      used: spent / most,
      detail: `${percent(spent)} spent, at most ${percent(most)}: ${spellShare(beyond)} of the runs`,
    }));

/** Prices of the devices in use. A device that several pools share is split evenly between them. */
function costs(placement: PlacementDocument, { devices }: Inventory, table: Table): string {
  const users = new Map<string, Set<string>>();
  for (const { model, replicas } of placement.pools) {
    for (const id of replicas.flatMap((replica) => replica.devices)) {
      users.set(id, (users.get(id) ?? new Set()).add(model));
    }
  }
  const rows = placement.pools.map(({ model }) => {
    const own = devices.filter(({ id }) => users.get(id)?.has(model));
    const price = own.reduce((sum, { id, pricePerHour }) => sum + pricePerHour / (users.get(id)?.size ?? 1), 0);
    const kinds = [...new Set(own.map(({ kind }) => kind))];
    const where = kinds.map((kind) => `${own.filter((device) => device.kind === kind).length} x ${kind}`);
    return { model, price, where: where.join(', ') };
  });
  const all = rows.reduce((sum, { price }) => sum + price, 0) || 1;
  return table(
    ['cost of', 'devices', 'an hour', 'share'],
    rows
      .toSorted((a, b) => b.price - a.price)
      .slice(0, MOST_ROWS)
      .map(({ model, price, where }) => [model, where, price.toFixed(2), percent(price / all)]),
  );
}

/** Mean times of the slowest stages. They add up only where stages follow each other. */
function times({ predicted, stages }: PlacementDocument, table: Table): string {
  const rows = Object.entries(predicted.stages).toSorted(
    ([, a], [, b]) => b.waitMs + b.serviceMs - a.waitMs - a.serviceMs,
  );
  const longest = Math.max(1e-9, ...rows.map(([, { waitMs, serviceMs }]) => waitMs + serviceMs));
  return table(
    ['time in', 'served by', 'wait ms', 'service ms', ''],
    rows
      .slice(0, MOST_ROWS)
      .map(([stage, { waitMs, serviceMs }]) => [
        stage,
        stages[stage] ?? '',
        round(waitMs),
        round(serviceMs),
        bar((waitMs + serviceMs) / longest),
      ]),
  );
}

/** Of stages whose model is served apart: the parts of their service. */
function handovers({ predicted }: PlacementDocument): string[] {
  const lines = Object.entries(predicted.stages).flatMap(([stage, { serviceMs, handover }]) => {
    if (handover === undefined) return [];
    const { prefillMs, waitMs, transferMs } = handover;
    const share = serviceMs > 0 ? transferMs / serviceMs : 0;
    const answer = Math.max(0, serviceMs - prefillMs - waitMs - transferMs);
    return [
      `Apart: ${stage} takes ${round(prefillMs)} ms for the prompt, ${round(waitMs)} ms of wait for a replica that answers, ${round(transferMs)} ms for the cache's way (${percent(share)} of the service), ${round(answer)} ms for the answer`,
    ];
  });
  return lines.length > 0 ? [...lines.slice(0, MOST_ROWS), ''] : [];
}

function budgets({ predicted: { errorBudgets = [] } }: PlacementDocument): string[] {
  const spent = errorBudgets.slice(0, MOST_ROWS).map((each) => `${each.of} ${percent(each.spent)}`);
  return spent.length > 0 ? [`Error budgets spent: ${spent.join(', ')}`] : [];
}

function prefixes(placement: PlacementDocument): string[] {
  const lines = prefixLines(placement).slice(0, MOST_ROWS);
  return lines.length > 0 ? [...lines.map((line) => `Prefixes: ${line}`), ''] : [];
}

function worstLossLine(placement: PlacementDocument): string {
  const { degraded, worstLoss } = placement;
  if (worstLoss) {
    const { without, predicted } = worstLoss;
    return `without ${without} p99 is ${round(predicted.p99Ms)} ms: the objective holds after any one lost ${lossName(placement)}`;
  }
  const late = (each: PlacementDocument['degraded'][number]) => each.predicted?.p99Ms ?? Number.POSITIVE_INFINITY;
  const worst = degraded.toSorted((a, b) => late(b) - late(a))[0];
  if (!worst) return 'none was computed';
  const { without, predicted, shedShare, lost } = worst;
  if (predicted === null) return `without ${without} no replica of ${lost.join(', ')} is left`;
  const shed =
    shedShare > 0
      ? `, with ${percent(shedShare)} of the runs refused the objective holds`
      : ', which keeps the objective';
  return `without ${without} p99 is ${round(predicted.p99Ms)} ms${shed}`;
}
