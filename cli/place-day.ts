import path from 'node:path';
import {
  type Hour,
  hoursOfRates,
  hoursOfTraces,
  makeSchedule,
  readRates,
  scheduleText,
} from '../placement/day/index.js';
import { waysToServe } from '../placement/explain/index.js';
import { nearest } from '../placement/source/index.js';
import type { PipelineShape } from '../placement/workload/index.js';
import type { Settings } from '../workers/settings.js';
import { printJson, show, table } from './output.js';
import { affinityOf } from './place-affinity.js';
import { read, readTraces, wrongOption } from './place-files.js';
import { type PlaceInputOptions, readInput } from './place-input.js';

export interface DayCommandOptions extends PlaceInputOptions {
  readonly rates?: string;
  /** Milliseconds by model; `''`: of all others. */
  readonly coldStart?: Readonly<Record<string, number>>;
  readonly switchCost: number;
  readonly maxSwitches?: number;
  readonly once?: boolean;
  // Options of `millrace place` that commander also accepts here.
  readonly rate?: readonly number[];
  readonly objective?: 'cost' | 'rate';
  readonly whatIf?: readonly string[];
  readonly batchDelay?: number;
}

/** Time from the start of a server to its first answer: an LLM of some billion parameters from a local disk. */
const COLD_START_MS = 120_000;

/** `millrace place day`: computes which placement should serve each hour of a day, from files only. No server is called. */
export async function placeDay(settings: Settings, options: DayCommandOptions): Promise<void> {
  refuseOthers(options);
  const input = await readInput(settings, options);
  const names = input.pipelines.map(({ name }) => name);
  const twice = names.find((name, p) => names.indexOf(name) < p);
  if (twice !== undefined) {
    throw wrongOption('--pipeline', `two are called "${twice}": give each once, with the sum of their rates`);
  }
  const hours = await hoursOf(input.pipelines, options);
  const models = [...new Set(input.pipelines.flatMap(({ stages }) => stages.map(({ model }) => model)))];
  const coldStart = new Map(Object.entries(options.coldStart ?? {}));
  const unknown = [...coldStart.keys()].find((model) => model !== '' && !models.includes(model));
  if (unknown !== undefined) {
    throw wrongOption('--cold-start', `no stage uses a model "${unknown}"${nearest(unknown, models)}`);
  }
  const [apart, ...others] = waysToServe(input, options.serve);
  if (others.length > 0) {
    const message = `a day keeps one way to serve a model, and these are ${others.length + 1}: write together, or apart and leave the profiles of one variant; "millrace place" at the busiest rate says which is cheaper`;
    throw wrongOption('--serve', message);
  }
  const columns = hours.flatMap(({ arriving }) =>
    arriving.flatMap((each) => ('trace' in each ? Object.keys(each.trace.sizes) : [])),
  );
  const stated = [...new Set([...columns, ...Object.keys(options.size)])];
  const affinity = await affinityOf(settings, input, stated, options.affinity);
  const schedule = makeSchedule({ ...input, apart, affinity }, hours, {
    coldStartMs: (model) => coldStart.get(model) ?? coldStart.get('') ?? COLD_START_MS,
    perSwitch: options.switchCost,
    mostSwitches: options.maxSwitches,
    repeats: options.once !== true,
    sizes: options.size,
    timeLimitMs: options.timeLimit,
    clock: () => performance.now(),
  });
  if (options.json) printJson(schedule);
  else show(scheduleText(schedule, input.inventory, table));
}

function refuseOthers({ rate = [], objective = 'cost', whatIf = [], batchDelay }: DayCommandOptions): void {
  if (rate.length > 0) throw wrongOption('--rate', 'a day has a rate for each hour: pass --rates day.csv, or --trace');
  if (objective !== 'cost') throw wrongOption('--objective', 'a day is planned for its cost: leave it out');
  if (batchDelay !== undefined) {
    throw wrongOption(
      '--batch-delay',
      'the batches of a day do not wait: leave it out, or place one hour by "millrace place"',
    );
  }
  if (whatIf.length > 0) {
    throw wrongOption(
      '--what-if',
      'a day answers no questions: change the files, or ask of one hour by "millrace place"',
    );
  }
}

/** The hours of the table of rates, or of the traces. */
async function hoursOf(
  pipelines: readonly PipelineShape[],
  { rates, trace, cv }: DayCommandOptions,
): Promise<readonly Hour[]> {
  if ((rates === undefined) === (trace.length === 0)) {
    throw wrongOption('--rates', 'pass the demand of the day: --rates day.csv, or a --trace for each --pipeline');
  }
  if (rates !== undefined) {
    const names = pipelines.map(({ name }) => name);
    return hoursOfRates(readRates(await read(rates, 'INVALID_TRACE'), path.basename(rates), names), cv);
  }
  if (trace.length !== pipelines.length) {
    const message = `pass one for each --pipeline, in their order: ${pipelines.length}, not ${trace.length}`;
    throw wrongOption('--trace', message);
  }
  return hoursOfTraces(await readTraces(trace));
}
