import { invalidFields } from '../pipelines/invalid-fields.js';
import type { Serving } from '../placement/explain/index.js';
import type { PlannerInput, PoolAffinity, Survive } from '../placement/planner/index.js';
import { tooOld } from '../placement/profiles/index.js';
import { type PipelineShape, stageObjectives, withAssumptions } from '../placement/workload/index.js';
import type { Settings } from '../workers/settings.js';
import { readCluster, readProfileFolder, readShape, wrongOption } from './place-files.js';

/** Options that `millrace place` and `millrace place day` share. */
export interface PlaceInputOptions {
  readonly pipeline: readonly string[];
  readonly cluster?: string;
  readonly profiles?: string;
  readonly trace: readonly string[];
  readonly cv: number;
  readonly sloP95?: number;
  readonly sloP99?: number;
  readonly slo: readonly string[];
  readonly goodput?: number;
  readonly worstMinute?: number;
  readonly errorBudget?: number;
  readonly qualityFloor?: number;
  readonly quality?: number;
  readonly survive?: readonly string[];
  /** How LLMs may be served, by model. */
  readonly serve?: Readonly<Record<string, Serving>>;
  /** How the calls of LLMs choose among their endpoints, by model. */
  readonly affinity?: Readonly<Record<string, PoolAffinity['affinity']>>;
  readonly assume: readonly string[];
  readonly size: Readonly<Record<string, number>>;
  readonly timeLimit: number;
  readonly maxProfileAge: number;
  readonly seed: number;
  readonly module?: string;
  readonly json?: boolean;
}

/** The planner's input but for the load: pipelines, devices, profiles and objectives. */
export async function readInput(settings: Settings, options: PlaceInputOptions): Promise<Omit<PlannerInput, 'load'>> {
  const { sloP95, sloP99, goodput, worstMinute, errorBudget } = options;
  const { qualityFloor, quality, cluster, profiles: folder } = options;
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
  const stages = stageObjectives(pipelines, options.slo, goodput);
  return {
    pipelines: withAssumptions(pipelines, options.assume),
    inventory,
    profiles,
    seed: options.seed,
    objective: {
      p95Ms: sloP95,
      p99Ms: sloP99,
      ...(stages.length > 0 && { stages }),
      goodput,
      worstMinute,
      errorBudget,
    },
    qualityFloor,
    quality,
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
