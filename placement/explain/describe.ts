import {
  type Degraded,
  type PlacementDocument,
  type Predicted,
  type StageFigure,
  sealPlacement,
} from '../document/index.js';
import {
  balance,
  buildProblem,
  type Candidate,
  cellAt,
  costOf,
  demandedLosses,
  Judge,
  leftOf,
  type PlannerInput,
  type Problem,
  type Replica,
  replicasByDevice,
  type Searched,
  type Seen,
  shedShare,
  slowest,
  useOn,
  withMoreDevices,
} from '../planner/index.js';
import { rateOf } from '../simulator/index.js';
import { ms, round } from './figures.js';
import { cacheOf, placedPool } from './placed-pool.js';
import { sampledSizes } from './sampled-sizes.js';
import { callsOf, qualityOf } from './whole-pipelines.js';

/** Devices reported by the loss analysis; devices with the same pools on the same kind are equivalent. */
const MOST_LOST = 16;

/** The placement as a document: decisions, reasons, predictions, and behaviour under faults and higher load. */
export function describe(
  input: PlannerInput,
  problem: Problem,
  searched: Searched,
  objective: 'cost' | 'rate',
  goOn: () => boolean = () => true,
): PlacementDocument {
  const judge = new Judge(problem);
  const { candidate } = searched;
  const speed = objective === 'rate' ? searched.value : 1;
  const rate = rateOf(problem.load) * speed;
  const scale = objective === 'rate' ? rateOf(problem.load) : 1;
  const seen = judge.see(candidate, { speed, detailed: true });
  const predicted = predictedOf(problem, candidate, seen, rate);
  const cost = costOf(problem, candidate);
  const value = searched.value * scale;
  const bound = searched.bound * scale;
  return sealPlacement({
    format: 1,
    objective,
    slo: {
      ...(problem.objective.p95Ms !== undefined && { p95Ms: problem.objective.p95Ms }),
      ...(problem.objective.p99Ms !== undefined && { p99Ms: problem.objective.p99Ms }),
      ...(input.qualityFloor !== undefined && { qualityFloor: input.qualityFloor }),
      ...(input.quality !== undefined && { quality: input.quality }),
      ...(problem.targets.length > 0 && {
        stages: figuresOf(
          problem,
          problem.targets.map((target) => target.ms),
        ),
      }),
      ...(problem.objective.goodput !== undefined && { goodput: problem.objective.goodput }),
      ...(problem.objective.worstMinute !== undefined && { worstMinute: problem.objective.worstMinute }),
      ...(problem.objective.errorBudget !== undefined && { errorBudget: problem.objective.errorBudget }),
      ...(problem.survive && { survive: problem.survive }),
    },
    ratePerSecond: round(rate, 3),
    currency: problem.inventory.currency,
    costPerHour: round(cost, 6),
    pools: problem.pools.map((_, p) => placedPool(problem, candidate, p)),
    stages: Object.fromEntries(
      problem.stageNames.map((name, v) => [name, problem.pools[problem.stages[v]?.pool ?? 0]?.model ?? '']),
    ),
    ...callsOf(problem),
    ...sampledSizes(problem, input.pipelines),
    predicted,
    ...qualityOf(input, problem, candidate),
    bottleneck: bottleneckOf(problem, candidate, speed, predicted),
    bound: round(bound, 6),
    gap: bound > 0 && value > 0 ? round(objective === 'cost' ? value / bound - 1 : bound / value - 1, 6) : 0,
    optimal: searched.optimal,
    degraded: degradedOf(problem, judge, candidate, speed, rate, goOn),
    ...worstLossOf(problem, judge, candidate, speed, rate),
    next: nextOf(input, candidate, speed, seen, goOn),
    robustness: {
      slowerBy50Percent: robust(judge, candidate, { speed, slowdown: 1.5 }, goOn),
      twiceTheRate: robust(judge, candidate, { speed: 2 * speed }, goOn),
    },
    assumptions: [...problem.assumptions],
    warnings: [...problem.warnings, ...failing(problem, predicted), ...(goOn() ? [] : [CUT_SHORT])],
    refusedShare: round(problem.oversizedShare, 6),
  });
}

const CUT_SHORT =
  'the time limit ended the analysis of lost devices, of robustness or of the next device: --time-limit allows more';

/** Runs that fail are in no percentile: with more of them than may be late, the objective says little. */
function failing({ objective }: Problem, { failedShare }: Predicted): readonly string[] {
  if (failedShare <= (objective.p99Ms === undefined ? 0.05 : 0.01)) return [];
  const share = (100 * failedShare).toFixed(1);
  return [`${share} % of the runs fail (failureRate, attempts), and the times are those of the others`];
}

export function predictedOf(problem: Problem, candidate: Candidate, seen: Seen, rate: number): Predicted {
  const { result } = seen;
  const devices: Predicted['devices'] = {};
  for (const [device, replicas] of replicasByDevice(candidate)) {
    const bytes = replicas.reduce(
      (sum, replica) =>
        sum +
        (cacheOf(problem, candidate, replica).memoryBytes ??
          useOn(problem, candidate, replica.pool, device)?.memoryBytes ??
          0),
      0,
    );
    devices[problem.devices[device]?.id ?? ''] = {
      utilisation: round(result.utilisation[device] ?? 0, 4),
      memoryBytes: bytes,
    };
  }
  return {
    ...predictedRunsOf(problem, seen, rate),
    stages: Object.fromEntries(
      result.stages.map((stage, v) => [
        problem.stageNames[v] ?? '',
        {
          waitMs: ms(stage.meanWaitMs),
          waitP99Ms: ms(stage.waitP99Ms),
          serviceMs: ms(stage.meanServiceMs),
          batch: round(stage.meanBatch, 2),
          ...handoverOf(result.handovers?.[v]),
        },
      ]),
    ),
    devices,
  };
}

function handoverOf(handover: NonNullable<Seen['result']['handovers']>[number]) {
  if (handover === undefined) return {};
  const { prefillMs, waitMs, transferMs, batch } = handover;
  return {
    handover: { prefillMs: ms(prefillMs), waitMs: ms(waitMs), transferMs: ms(transferMs), batch: round(batch, 2) },
  };
}

const figuresOf = ({ targets }: Problem, values: readonly number[]): StageFigure[] =>
  targets.map(({ stage, metric, share }, i) => ({
    stage,
    metric,
    percentile: round(100 * share, 3),
    ms: ms(values[i] ?? 0),
  }));

export function predictedRunsOf(
  problem: Problem,
  { p50Ms, p95Ms, p99Ms, pipelines, targets, attainment, budgets, result }: Seen,
  rate: number,
) {
  const count = result.completed + result.failed + result.refused + result.oversized;
  const { worstMinute } = attainment;
  return {
    p50Ms: ms(p50Ms),
    p95Ms: ms(p95Ms),
    p99Ms: ms(p99Ms),
    ...(pipelines.length > 0 && {
      pipelines: Object.fromEntries(
        pipelines.map((each) => [
          problem.pipelines[each.pipeline] ?? '',
          { p50Ms: ms(each.p50Ms), p95Ms: ms(each.p95Ms), p99Ms: ms(each.p99Ms) },
        ]),
      ),
    }),
    throughputPerSecond: round(Math.min(rate, (result.completed * 1000) / result.spanMs), 3),
    arrivedPerSecond: round(rate, 3),
    failedShare: round(result.failed / Math.max(1, count), 6),
    oversizedShare: round(result.oversized / Math.max(1, count), 6),
    preemptionsPerRun: round(result.preemptions / Math.max(1, count), 4),
    ...(targets.length > 0 && { figures: figuresOf(problem, targets) }),
    errorBudgets: budgets.map(({ of, beyond, spent }) => ({ of, beyond: round(beyond, 6), spent: round(spent, 4) })),
    attainment: round(attainment.share, 6),
    goodputPerSecond: round((rate * attainment.runs) / Math.max(1, count), 3),
    ...(worstMinute && {
      worstMinute: {
        fromS: worstMinute.fromS,
        arrivedPerSecond: round(worstMinute.arrivedPerSecond, 3),
        attainment: round(worstMinute.share, 6),
      },
    }),
  };
}

function bottleneckOf(problem: Problem, candidate: Candidate, speed: number, { stages }: Predicted) {
  const { pools } = balance(problem, candidate);
  const waits = problem.pools.map(({ handsTo }, p) =>
    problem.stageNames.reduce((sum, name, v) => {
      const { waitMs = 0, handover } = stages[name] ?? {};
      if (problem.stages[v]?.pool !== (handsTo?.pool ?? p)) return sum;
      return sum + (handover && !handsTo ? handover.waitMs : waitMs);
    }, 0),
  );
  const order = pools
    .map((load, p) => ({ load: load * speed, p }))
    .sort((a, b) => b.load - a.load || (waits[b.p] ?? 0) - (waits[a.p] ?? 0));
  const { load = 0, p = 0 } = order[0] ?? {};
  return {
    model: problem.pools[p]?.model ?? '',
    utilisation: round(load, 4),
    reason: `its devices have the highest load: ${Math.round(100 * load)} % in full batches; calls wait ${Math.round(waits[p] ?? 0)} ms on average`,
  };
}

function degradedOf(
  problem: Problem,
  judge: Judge,
  candidate: Candidate,
  speed: number,
  rate: number,
  goOn: () => boolean,
): Degraded[] {
  const described = new Set<string>();
  const degraded: Degraded[] = [];
  for (const [device, there] of replicasByDevice(candidate)) {
    const alike = `${cellAt(problem, device)?.kind}|${there
      .map(({ pool }) => pool)
      .sort()
      .join()}`;
    if (described.has(alike) || degraded.length >= MOST_LOST || !goOn()) continue;
    described.add(alike);
    const left = candidate.replicas.filter(({ devices }) => !devices.includes(device));
    const lost = problem.pools.flatMap(({ model }, p) => (left.some(({ pool }) => pool === p) ? [] : [model]));
    const without = problem.devices[device]?.id ?? '';
    if (lost.length > 0) {
      degraded.push({ without, predicted: null, shedShare: 1, lost });
      continue;
    }
    const rest = leftOf(candidate, left);
    const seen = judge.see(rest, { speed });
    const predicted = predictedRunsOf(problem, seen, rate);
    degraded.push({ without, predicted, shedShare: round(shedShare(judge, rest, seen, { speed }, goOn), 4), lost });
  }
  return degraded;
}

/** The loss of those to survive that uses up most of the objective. */
function worstLossOf(problem: Problem, judge: Judge, candidate: Candidate, speed: number, rate: number) {
  const after = demandedLosses(problem, candidate).map(({ without, rest }) => {
    const seen = judge.see(rest, { speed });
    return { without, used: usedUp(problem, seen), predicted: predictedRunsOf(problem, seen, rate) };
  });
  const [worst] = after.sort((a, b) => b.used - a.used);
  return worst ? { worstLoss: { without: worst.without, predicted: worst.predicted } } : {};
}

function robust(
  judge: Judge,
  candidate: Candidate,
  trial: { readonly speed: number; readonly slowdown?: number },
  goOn: () => boolean,
) {
  const seen = judge.see(candidate, trial);
  const { holds, p95Ms, p99Ms } = seen;
  const shed = round(shedShare(judge, candidate, seen, trial, goOn), 4);
  return { holds, p95Ms: ms(p95Ms), p99Ms: ms(p99Ms), shedShare: shed };
}

/** How much of the objectives is used up: 1 is all of one. */
function usedUp({ objective, targets }: Problem, seen: Seen): number {
  const { targets: values, attainment } = seen;
  return Math.max(
    attainment.used,
    slowest(seen, 'p99Ms') / (objective.p99Ms ?? Number.POSITIVE_INFINITY),
    slowest(seen, 'p95Ms') / (objective.p95Ms ?? Number.POSITIVE_INFINITY),
    ...targets.map((target, i) => (values[i] ?? 0) / target.ms),
  );
}

/** How late runs are: by the 99th percentile, or by the objective that is used up most if there are others. */
const lateness = (problem: Problem, seen: Seen): number =>
  problem.targets.length === 0 && seen.attainment.used === 0 ? slowest(seen, 'p99Ms') : usedUp(problem, seen);

/** Tries one additional device of each kind for each pool, and returns the one that gains most for its price. */
function nextOf(
  input: PlannerInput,
  candidate: Candidate,
  speed: number,
  before: Seen,
  goOn: () => boolean,
): PlacementDocument['next'] {
  let best: { readonly step: NonNullable<PlacementDocument['next']>; readonly gain: number } | undefined;
  for (const kind of new Set(input.inventory.devices.map((device) => device.kind))) {
    const first = withMoreDevices(input.inventory, kind, 1);
    if (first === undefined || !goOn()) continue;
    const problem = buildProblem({ ...input, inventory: first });
    const judge = new Judge(problem);
    const late = lateness(problem, before);
    const device = problem.devices.length - 1;
    const pricePerHour = problem.devices[device]?.pricePerHour ?? 0;
    for (const [p, { model }] of problem.pools.entries()) {
      if (useOn(problem, candidate, p, device)?.width !== 1 || !goOn()) continue;
      const added: Replica = { pool: p, devices: [device] };
      const seen = judge.see({ ...candidate, replicas: [...candidate.replicas, added] }, { speed });
      const after = lateness(problem, seen);
      // A free device is counted as a cent, so that of two free ones the more useful is reported.
      const gain = (late - after) / Math.max(pricePerHour, 0.01);
      if (after >= late * 0.99 || gain <= (best?.gain ?? 0)) continue;
      const figures = seen.targets.length > 0 && { figures: figuresOf(problem, seen.targets) };
      best = { step: { add: kind, for: model, pricePerHour, p99Ms: ms(seen.p99Ms), ...figures }, gain };
    }
  }
  return best?.step ?? null;
}
