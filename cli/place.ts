import { MillraceError } from '../pipelines/errors.js';
import type { PlacementDocument } from '../placement/document/index.js';
import {
  type Arriving,
  comparisonLine,
  makeLoad,
  makePlacement,
  placementText,
  whatIf,
} from '../placement/explain/index.js';
import { horizonMs, type PlannerInput } from '../placement/planner/index.js';
import type { Settings } from '../workers/settings.js';
import { print, printJson, show, table } from './output.js';
import { affinityOf } from './place-affinity.js';
import { readTraces, wrongOption } from './place-files.js';
import { type PlaceInputOptions, readInput } from './place-input.js';

export interface PlaceCommandOptions extends PlaceInputOptions {
  readonly rate: readonly number[];
  readonly objective: 'cost' | 'rate';
  readonly whatIf: readonly string[];
  /** Longest time that batches may wait to fill, in milliseconds. */
  readonly batchDelay?: number;
}

/** `millrace place`: computes where each stage should run, from files only. No server is called. */
export async function placePipelines(settings: Settings, options: PlaceCommandOptions): Promise<void> {
  const input = await inputOf(settings, options);
  const make = (changed: PlannerInput): PlacementDocument =>
    makePlacement(changed, {
      objective: options.objective,
      timeLimitMs: options.timeLimit,
      clock: () => performance.now(),
      serve: options.serve,
    });
  // Questions are parsed before the placement is computed, so that a mistake is reported at once.
  const questions = options.whatIf.map((question) => ({ question, changed: whatIf(input, question) }));
  const placement = make(input);
  const answers = questions.map(({ question, changed }) => ({ question, ...answered(() => make(changed)) }));
  if (options.json) {
    const whatIfs = answers.map(({ question, placement: other, problem }) => ({ question, placement: other, problem }));
    printJson(answers.length > 0 ? { ...placement, whatIf: whatIfs } : placement);
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

/** What the options name, with its load. */
async function inputOf(settings: Settings, options: PlaceCommandOptions): Promise<PlannerInput> {
  const input = await readInput(settings, options);
  const arriving = await arrivingOf(options);
  const load = makeLoad(arriving, horizonMs(input.objective), options.seed, options.size);
  const affinity = await affinityOf(settings, input, Object.keys(load.sizes), options.affinity);
  return { ...input, load, affinity, batchDelayMs: options.batchDelay };
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
  return (await readTraces(trace)).map((each) => ({ trace: each }));
}
