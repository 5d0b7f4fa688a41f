import type { Inventory } from '../../placement/inventory/index.js';
import { buildProblem, type PlannerInput, type Problem } from '../../placement/planner/index.js';
import { type ProfileFile, type ReadProfile, readProfile } from '../../placement/profiles/index.js';
import { arrivals, drawOf, loadOf } from '../../placement/simulator/index.js';
import { type PipelineShape, readPipelineShape, type StageFigures } from '../../placement/workload/index.js';

/** A random chain or diamond with profiles on kinds whose price rises with their speed. */
export interface Instance {
  readonly seed: number;
  readonly stages: number;
  readonly kinds: number;
  readonly devices: number;
}

interface Sizes extends Instance {
  /** Profiled batch sizes. */
  readonly batches: readonly number[];
  /** Erlangs of the whole load on the middle kind. */
  readonly erlangs: number;
  readonly requests: number;
  /** Objective divided by the sum of the stages' medians on the fastest kind. */
  readonly slack: number;
}

const GIB = 2 ** 30;

/** Numbers from a seed, each by its name, so that a change to one does not affect the others. */
function chooser(seed: number) {
  let i = 0;
  const between = (low: number, high: number) => low + (high - low) * drawOf(seed, i++, 77);
  const whole = (low: number, high: number) => Math.floor(between(low, high + 1));
  return { between, whole, oneOf: <T>(list: readonly T[]) => list[whole(0, list.length - 1)] as T };
}

/** An instance that can be enumerated: at most 4 stages, 3 kinds, 6 devices. */
export function smallInstance(seed: number): Problem {
  const { between, whole } = chooser(seed);
  const kinds = whole(1, 3);
  return problemOf({
    seed,
    stages: whole(1, 4),
    kinds,
    devices: whole(Math.max(2, kinds), 6),
    batches: [1, 4],
    erlangs: between(0.2, 1.7),
    requests: 400,
    slack: between(1.6, 5),
  });
}

/**
 * An instance that can be enumerated and that strains a bound: bursts, objectives that leave hardly any wait, larger batches,
 * stages that some runs skip, a second pipeline with so few runs that all of them may be late.
 *
 * @param figures of all its stages
 */
export function strainedInstance(seed: number, figures: Partial<StageFigures> = {}): Problem {
  const { between, whole, oneOf } = chooser(seed + 0xb0);
  const input = inputOf({
    seed: seed + 0xb0,
    stages: whole(1, 3),
    kinds: whole(1, 2),
    devices: whole(2, 4),
    batches: [1, 4, 8],
    erlangs: between(0.2, 1.7),
    requests: 300,
    slack: between(0.8, 3),
  });
  const rate =
    (1000 * (input.load.timesMs.length - 1)) / ((input.load.timesMs.at(-1) ?? 0) - (input.load.timesMs[0] ?? 0));
  const share = oneOf([1, 1, 0.6]);
  const pipelines = input.pipelines.map((pipeline) => ({
    ...pipeline,
    stages: pipeline.stages.map((stage, v) => ({ ...stage, ...(v === 0 && { share }), ...figures })),
  }));
  const load = loadOf(arrivals({ count: 300, rate, seed, cv: oneOf([1, 2.5, 5]) }));
  if (oneOf([true, true, false])) return buildProblem({ ...input, pipelines, load });
  const second = pipelines.map((pipeline) => ({ ...pipeline, name: 'second', stages: pipeline.stages.slice(0, 1) }));
  const rare = load.pipelines.map((_, run) => (run % 150 === 70 ? 1 : 0));
  return buildProblem({ ...input, pipelines: [...pipelines, ...second], load: { ...load, pipelines: rare } });
}

/** An instance of a given size. */
export function largeInstance(instance: Instance): Problem {
  const { between } = chooser(instance.seed);
  return problemOf({
    ...instance,
    batches: [1, 2, 4, 8],
    // Fills about half of the devices.
    erlangs: instance.devices * between(0.35, 0.6),
    requests: Math.min(20_000, 1_000 + instance.devices * 50),
    slack: between(4, 8),
  });
}

/** Requests of a long trace: as many as Azure's conversation trace has. */
const TRACED = 19_366;

/** An instance of a given size with a load as long as a public trace. */
export function tracedInput(instance: Instance): PlannerInput {
  const { between } = chooser(instance.seed);
  const erlangs = instance.devices * between(0.35, 0.6);
  return inputOf({ ...instance, batches: [1, 2, 4, 8], erlangs, requests: TRACED, slack: between(4, 8) });
}

export const problemOf = (sizes: Sizes): Problem => buildProblem(inputOf(sizes));

/** What makes an instance harder: a faster load, a tighter objective, a device less. */
export const HARDER = ['load', 'objective', 'devices'] as const;

export interface Pair {
  readonly by: (typeof HARDER)[number];
  readonly easier: PlannerInput;
  readonly harder: PlannerInput;
}

/**
 * An instance that is too large to be enumerated, and the same made harder in one way: whatever serves the harder one serves
 * the easier, so that it must not cost more.
 */
export function pairOf(seed: number): Pair {
  const { between, whole } = chooser(seed);
  const kinds = whole(2, 3);
  const devices = whole(8, 16);
  const easier = inputOf({
    seed,
    stages: whole(2, 5),
    kinds,
    devices,
    batches: [1, 2, 4],
    erlangs: devices * between(0.15, 0.5),
    requests: 400,
    slack: between(2.5, 6),
  });
  const by = HARDER[seed % HARDER.length] ?? 'load';
  const share = between(1.05, 1.5);
  const { load, objective, inventory } = easier;
  if (by === 'load') {
    return { by, easier, harder: { ...easier, load: { ...load, timesMs: load.timesMs.map((t) => t / share) } } };
  }
  if (by === 'objective')
    return { by, easier, harder: { ...easier, objective: { p99Ms: (objective.p99Ms ?? 0) / share } } };
  const gone = whole(0, devices - 1);
  const left = inventory.devices.filter((_, d) => d !== gone);
  return { by, easier, harder: { ...easier, inventory: { ...inventory, devices: left } } };
}

function inputOf({
  seed,
  stages: count,
  kinds: kindCount,
  devices,
  batches,
  erlangs,
  requests,
  slack,
}: Sizes): PlannerInput {
  const { between, whole, oneOf } = chooser(seed + 0x5eed);
  const kinds = Array.from({ length: kindCount }, (_, k) => {
    const speed = 2 ** (k - (kindCount - 1) / 2) * between(0.8, 1.25);
    // Not in proportion, and in steps, so that no two placements have almost equal costs.
    const price = Math.max(0.1, Math.round(speed ** between(0.7, 1.3) * 20) / 20);
    return { name: `kind${k}`, speed, price, gib: oneOf([16, 24, 40]) };
  });
  const diamond = count >= 4 && whole(0, 3) === 0;
  const stages = Array.from({ length: count }, (_, i) => ({
    id: `s${i}`,
    model: `m${i}`,
    after: i === 0 ? [] : diamond && i === 2 ? ['s0'] : diamond && i === 3 ? ['s1', 's2'] : [`s${i - 1}`],
    ms: between(5, 50),
    fixed: between(0.3, 0.9),
    weights: between(1, 10),
    noise: between(1, 1.4),
  }));
  const profiles = stages.flatMap((stage) =>
    kinds.map(({ name, speed }): ReadProfile => {
      const own = stage.ms / (speed * between(0.8, 1.25));
      const file: ProfileFile = {
        format: 1,
        model: stage.model,
        deviceKind: name,
        batching: 'dynamic',
        memory: { weights: Math.round(stage.weights * GIB), perRequest: Math.round(0.2 * GIB) },
        latency: batches.map((batch) => {
          const p50Ms = own * (stage.fixed + (1 - stage.fixed) * batch);
          return { batch, p50Ms, p95Ms: p50Ms * stage.noise, p99Ms: p50Ms * stage.noise * 1.1 };
        }),
      };
      return readProfile(JSON.stringify(file), `${stage.model}-${name}.json`);
    }),
  );
  const pipeline: PipelineShape = readPipelineShape(
    JSON.stringify({ format: 1, name: 'random', stages: stages.map(({ id, model, after }) => ({ id, model, after })) }),
    'random.json',
  );
  const rows = Array.from({ length: devices }, (_, d) => kinds[d % kindCount] as (typeof kinds)[number]);
  const inventory: Inventory = {
    currency: 'EUR',
    devices: rows.map(({ name, price, gib }, d) => ({
      id: `${name}/${Math.floor(d / kindCount)}`,
      node: name,
      kind: name,
      memoryBytes: gib * GIB,
      pricePerHour: price,
      concurrency: 1,
      sharing: 'time-sliced' as const,
      memoryUtilization: 0.9,
    })),
    links: [],
    endpoints: [],
  };
  const middling = kinds[Math.floor(kindCount / 2)]?.speed ?? 1;
  const work = stages.reduce((sum, { ms }) => sum + ms / middling, 0);
  const best = Math.max(...kinds.map(({ speed }) => speed));
  const rate = (erlangs * 1000) / work;
  return {
    pipelines: [pipeline],
    inventory,
    profiles,
    load: loadOf(arrivals({ count: requests, rate, seed, cv: oneOf([0.7, 1, 1.5]) })),
    objective: { p99Ms: (work * middling * slack) / best / 0.7 },
  };
}
