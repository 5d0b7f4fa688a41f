import { MillraceError } from '../../pipelines/errors.js';
import type { PlacementDocument, Predicted } from '../document/index.js';
import { makePlacement, type PlannerOptions, predictedOf } from '../explain/index.js';
import { buildProblem, demandsLosses, Judge, type PlannerInput, type Problem } from '../planner/index.js';
import type { Profile, ReadProfile } from '../profiles/index.js';
import { rateOf } from '../simulator/index.js';
import { candidateOf } from './candidate-of.js';
import { type Drift, driftOf, slowdowns } from './drift.js';
import type { Measured } from './measured.js';
import { unlessStated } from './unless-stated.js';

export interface ReplanInput {
  /** The active placement. */
  readonly placement: PlacementDocument;
  readonly measured: Measured;
  /** The files that it was made from, its own objective, and the measured load. */
  readonly input: PlannerInput;
  readonly tolerance: number;
  /** The placement serves several hours of a schedule: less load than it was made for is no drift. */
  readonly scheduled?: boolean | undefined;
}

/** State of a placement, and the proposed replacement. */
export interface Replanned {
  readonly drift: readonly Drift[];
  /** Prediction of the active placement at the measured rate on the remaining devices; null: a pool has none left that the profiles know. */
  readonly expected: Predicted | null;
  /** Null while nothing has drifted, or with a `problem`. The active placement itself if none better was found. */
  readonly proposal: PlacementDocument | null;
  /**
   * Share of the runs to refuse so that the others meet the objective: no placement on the remaining devices serves all
   * of them.
   */
  readonly refuseShare: number;
  /** Why there is no proposal although something has drifted, or what it does not keep: that another loss is survived. */
  readonly problem: string | null;
}

/**
 * Compares a placement with measurements, and places again if they deviate: on the remaining devices, for the measured
 * rate, with profiles scaled by the servers' measured times. If no placement serves that rate, the one with the highest
 * rate is proposed. Throws what `buildProblem` throws for files that do not match each other.
 */
export function replan(input: ReplanInput, options: PlannerOptions): Replanned {
  const found = replanned(input, options);
  const { placement } = input;
  return { ...found, proposal: found.proposal && unlessStated(placement, withSizes(found.proposal, placement)) };
}

/** The proposal with the sizes of the placement in force: a sample of a load that was drawn from these loses some of them each time. */
function withSizes({ sizes: _, ...proposal }: PlacementDocument, { sizes }: PlacementDocument): PlacementDocument {
  return { ...proposal, ...(sizes && { sizes }) };
}

function replanned(
  { placement, measured, input, tolerance, scheduled }: ReplanInput,
  options: PlannerOptions,
): Replanned {
  // Errors of the files themselves are thrown as such. That this load cannot meet the objective is none: it is drawn from a sample.
  buildProblem(input, true);
  const left = withoutLost(input, measured);
  const expected = expectedOf(placement, left) ?? null;
  const drift = driftOf(placement, measured, { tolerance, expected: expected ?? undefined, scheduled });
  if (drift.length === 0) return { drift, expected, proposal: null, refuseShare: 0, problem: null };
  // Batches of the proposal may wait as long as those of the placement.
  const batchDelayMs = Math.max(...placement.pools.map(({ maxQueueDelayMs }) => maxQueueDelayMs));
  const changed = { ...withSlowdowns(left, slowdowns(drift)), batchDelayMs };
  const wanted = rateOf(changed.load);
  try {
    const proposal = makePlacement(changed, options);
    return { drift, expected, proposal, refuseShare: shareBeyond(wanted, proposal), problem: null };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const problem = `${error.code}: ${error.message}`;
    if (error.code !== 'PLACEMENT_INFEASIBLE') return { drift, expected, proposal: null, refuseShare: 0, problem };
    // What is left carries the load first; whether it survives another loss comes second.
    if (demandsLosses({ survive: changed.survive, devices: changed.inventory.devices })) {
      return { drift, expected, ...withoutSurvival(withoutLosses(changed), wanted, options, problem) };
    }
    return { drift, expected, ...most(changed, wanted, options, problem) };
  }
}

/** The input without the demand to survive a loss, also that of a spot device. */
function withoutLosses({ survive: _, ...input }: PlannerInput): PlannerInput {
  const { inventory } = input;
  return {
    ...input,
    inventory: {
      ...inventory,
      devices: inventory.devices.map(({ billing, lossPerHour: __, ...device }) =>
        billing === 'reserved' ? { ...device, billing } : device,
      ),
    },
  };
}

/** The placement for a load that no placement serves after another loss; its problem says that. */
function withoutSurvival(input: PlannerInput, wanted: number, options: PlannerOptions, problem: string) {
  try {
    const proposal = makePlacement(input, options);
    return { proposal, refuseShare: shareBeyond(wanted, proposal), problem };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return most(input, wanted, options, problem);
  }
}

/** The placement with the highest rate, for a rate that no placement can serve. */
function most(input: PlannerInput, wanted: number, options: PlannerOptions, problem: string) {
  try {
    const proposal = makePlacement(input, { ...options, objective: 'rate' });
    return { proposal, refuseShare: shareBeyond(wanted, proposal), problem: null };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { proposal: null, refuseShare: 0, problem };
  }
}

const shareBeyond = (wanted: number, { objective, ratePerSecond }: PlacementDocument): number =>
  objective === 'rate' && ratePerSecond < wanted ? Number((1 - ratePerSecond / wanted).toFixed(4)) : 0;

function withoutLost(input: PlannerInput, { lost }: Measured): PlannerInput {
  const gone = new Set(lost.map(({ device }) => device));
  const devices = input.inventory.devices.filter(({ id }) => !gone.has(id));
  return { ...input, inventory: { ...input.inventory, devices } };
}

/** Prediction of a placement for this input; undefined if a pool has no replica on its devices, or no profile of one. */
function expectedOf(placement: PlacementDocument, input: PlannerInput): Predicted | undefined {
  const problem = problemOf(input);
  const candidate = problem && candidateOf(problem, placement);
  if (problem === undefined || candidate === undefined) return undefined;
  const seen = new Judge(problem).see(candidate, { detailed: true });
  return predictedOf(problem, candidate, seen, rateOf(problem.load));
}

/** For judging the placement in force, which may miss the objective. Undefined if the remaining devices cannot serve some pool. */
function problemOf(input: PlannerInput): Problem | undefined {
  try {
    return buildProblem(input, true);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

function withSlowdowns(input: PlannerInput, times: ReadonlyMap<string, number>): PlannerInput {
  if (times.size === 0) return input;
  const [first, ...others] = input.pipelines;
  const said = [...times].map(
    ([model, factor]) =>
      `${model}: its calls take ${factor.toFixed(2)} times their profile, as measured at its servers`,
  );
  return {
    ...input,
    pipelines: first ? [{ ...first, assumptions: [...first.assumptions, ...said] }, ...others] : [],
    profiles: input.profiles.map((profile): ReadProfile => {
      const factor = times.get(profile.value.model);
      return factor === undefined ? profile : { ...profile, value: slower(profile.value, factor) };
    }),
  };
}

type Row = {
  readonly p50Ms: number;
  readonly p95Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  readonly meanMs?: number | undefined;
};

function slower(profile: Profile, factor: number): Profile {
  const scaled = <R extends Row>(row: R): R => ({
    ...row,
    p50Ms: row.p50Ms * factor,
    ...(row.p95Ms !== undefined && { p95Ms: row.p95Ms * factor }),
    ...(row.p99Ms !== undefined && { p99Ms: row.p99Ms * factor }),
    ...(row.meanMs !== undefined && { meanMs: row.meanMs * factor }),
  });
  return profile.batching === 'dynamic'
    ? { ...profile, latency: profile.latency.map(scaled) }
    : { ...profile, prefill: profile.prefill.map(scaled), decode: profile.decode.map(scaled) };
}
