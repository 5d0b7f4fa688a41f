import path from 'node:path';
import { MillraceError } from '../pipelines/errors.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import type { PlacementDocument } from '../placement/document/index.js';
import {
  type Arriving,
  comparisonLine,
  makeLoad,
  makePlacement,
  placementText,
  whatIf,
} from '../placement/explain/index.js';
import { horizonMs, type PlannerInput, type Survive } from '../placement/planner/index.js';
import { tooOld } from '../placement/profiles/index.js';
import type { Load } from '../placement/simulator/index.js';
import { readTrace } from '../placement/trace/index.js';
import { type PipelineShape, stageObjectives, withAssumptions } from '../placement/workload/index.js';
import type { Settings } from '../workers/settings.js';
import { print, show, table } from './output.js';
import { read, readCluster, readProfileFolder, readShape, wrongOption } from './place-files.js';

export interface PlaceCommandOptions {
  readonly pipeline: readonly string[];
  readonly cluster?: string;
  readonly profiles?: string;
  readonly trace: readonly string[];
  readonly rate: readonly number[];
  readonly cv: number;
  readonly sloP95?: number;
  readonly sloP99?: number;
  readonly slo: readonly string[];
  readonly goodput?: number;
  readonly worstMinute?: number;
  readonly objective: 'cost' | 'rate';
  readonly qualityFloor?: number;
  readonly survive?: readonly string[];
  readonly assume: readonly string[];
  readonly size: Readonly<Record<string, number>>;
  readonly whatIf: readonly string[];
  readonly timeLimit: number;
  readonly maxProfileAge: number;
  readonly seed: number;
  readonly module?: string;
  readonly json?: boolean;
}

/** `millrace place`: computes where each stage should run, from files only. No server is called. */
export async function placePipelines(settings: Settings, options: PlaceCommandOptions): Promise<void> {
  const input = await inputOf(settings, options);
  const make = (changed: PlannerInput): PlacementDocument =>
    makePlacement(changed, {
      objective: options.objective,
      timeLimitMs: options.timeLimit,
      clock: () => performance.now(),
    });
  // Questions are parsed before the placement is computed, so that a mistake is reported at once.
  const questions = options.whatIf.map((question) => ({ question, changed: whatIf(input, question) }));
  const placement = make(input);
  const answers = questions.map(({ question, changed }) => ({ question, ...answered(() => make(changed)) }));
  if (options.json) {
    const whatIfs = answers.map(({ question, placement: other, problem }) => ({ question, placement: other, problem }));
    print(JSON.stringify(answers.length > 0 ? { ...placement, whatIf: whatIfs } : placement));
    return;
  }
  show(placementText(placement, input.inventory, table));
  for (const { question, placement: other, problem } of answers) {
    print();
    show(other ? comparisonLine(`What if ${question}`, other, placement) : `What if ${question}: ${problem}`);
  }
}

/** The placement that answers a question, or why there is none. */
function answered(make: () => PlacementDocument): {
  readonly placement?: PlacementDocument;
  readonly problem?: string;
} {
  try {
    return { placement: make() };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { problem: `${error.code}: ${error.message}` };
  }
}

async function inputOf(settings: Settings, options: PlaceCommandOptions): Promise<PlannerInput> {
  const { sloP95, sloP99, goodput, worstMinute, qualityFloor, cluster, profiles: folder } = options;
  if (options.pipeline.length === 0) throw wrongOption('--pipeline', 'pass a plan, a short form or a pipeline’s name');
  if (cluster === undefined) throw wrongOption('--cluster', 'pass the inventory, e.g. cluster.yaml');
  if (folder === undefined) throw wrongOption('--profiles', 'pass the folder of the profiles');
  if (sloP95 === undefined && sloP99 === undefined && options.slo.length === 0)
    throw wrongOption('--slo-p99', 'pass --slo-p99 or --slo-p95, e.g. 800ms, or --slo for a stage');
  const pipelines: PipelineShape[] = [];
  for (const each of options.pipeline) pipelines.push(await readShape(settings, each, options.module));
  const inventory = await readCluster(cluster);
  const profiles = await readProfileFolder(folder);
  const old = tooOld(profiles, new Date(), options.maxProfileAge);
  if (old.length > 0) throw invalidFields('PROFILE_STALE', old);
  const arriving = await arrivingOf(options);
  const stages = stageObjectives(pipelines, options.slo, goodput);
  const objective = { p95Ms: sloP95, p99Ms: sloP99, ...(stages.length > 0 && { stages }), goodput, worstMinute };
  return {
    pipelines: withAssumptions(pipelines, options.assume),
    inventory,
    profiles,
    load: withSizes(makeLoad(arriving, horizonMs(objective), options.seed), options.size),
    seed: options.seed,
    objective,
    qualityFloor,
    survive: survivalOf(options.survive),
  };
}

/** `--survive 1 device` or `--survive node`. */
function survivalOf(words: readonly string[] | undefined): Survive | undefined {
  if (words === undefined) return undefined;
  const [, survive] = /^(?:1 )?(device|node)$/.exec(words.join(' ').trim()) ?? [];
  if (survive === 'device' || survive === 'node') return survive;
  throw wrongOption('--survive', `"${words.join(' ')}" is no single loss: write 1 device, or 1 node`);
}

/** The load with a size for every run whose trace does not state it. */
function withSizes(load: Load, stated: Readonly<Record<string, number>>): Load {
  const added = Object.entries(stated).map(([column, value]) => {
    const known = load.sizes[column];
    return [
      column,
      load.timesMs.map((_, i) => (Number.isNaN(known?.[i] ?? Number.NaN) ? value : (known?.[i] as number))),
    ];
  });
  return { ...load, sizes: { ...load.sizes, ...Object.fromEntries(added) } };
}

/** A trace or a rate for each pipeline; a single rate applies to each of them. */
async function arrivingOf({ pipeline, trace, rate, cv }: PlaceCommandOptions): Promise<readonly Arriving[]> {
  if (trace.length > 0 && rate.length > 0) throw wrongOption('--rate', 'pass --trace or --rate, not both');
  if (trace.length === 0 && rate.length === 0) {
    throw wrongOption('--rate', 'pass the arrivals of runs: --trace trace.csv, or --rate 20');
  }
  const given = trace.length > 0 ? trace.length : rate.length;
  if (given !== pipeline.length && (given !== 1 || trace.length > 0)) {
    const option = trace.length > 0 ? '--trace' : '--rate';
    throw wrongOption(option, `pass one for each --pipeline, in their order: ${pipeline.length}, not ${given}`);
  }
  if (rate.length > 0) return pipeline.map((_, p) => ({ rate: rate[p] ?? rate[0] ?? 1, cv }));
  return Promise.all(
    trace.map(async (file) => ({ trace: readTrace(await read(file, 'INVALID_TRACE'), path.basename(file)) })),
  );
}
