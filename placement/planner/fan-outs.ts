import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { FanOut, Load } from '../simulator/index.js';
import type { StageShape } from '../workload/index.js';

/** The calls of a stage: the most of any run, and how they differ. */
export interface Calls {
  readonly calls: number;
  readonly fanOut?: FanOut;
}

/** Most calls of a stage in a run. */
const MOST = 10_000;

/**
 * How often each stage is called in a run of its pipeline, by index: as stated, or by a column of the load. Throws `INVALID_INPUT` for a
 * column that the load lacks, or in which a run has too many.
 */
export function callsOf(
  named: readonly { readonly stage: StageShape; readonly p: number }[],
  names: readonly string[],
  load: Load,
): readonly Calls[] {
  const mistakes: FieldError[] = [];
  const all = named.map(({ stage: { calls, callsFrom }, p }, v): Calls => {
    if (callsFrom === undefined) return ofMean(calls);
    const of = load.pipelines.reduce<number[]>((runs, pipeline, run) => {
      if (pipeline === p) runs.push(run);
      return runs;
    }, []);
    const column = load.sizes[callsFrom];
    const values = of.map((run) => column?.[run] ?? Number.NaN);
    const wrong = mistakeIn(values, callsFrom);
    if (wrong === undefined) return ofColumn(values, callsFrom);
    mistakes.push({ field: '--trace', message: `${names[v]}: ${wrong}` });
    return { calls: 1 };
  });
  if (mistakes.length > 0) throw invalidFields('INVALID_INPUT', mistakes);
  return all;
}

function mistakeIn(values: readonly number[], column: string): string | undefined {
  if (values.some(Number.isNaN)) {
    return `its calls are in the column ${column}, which the load lacks: give a trace with it, or --size ${column}=<calls of a run>`;
  }
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return most > MOST
    ? `${column} has ${most} calls of a run, and at most ${MOST} are simulated: correct the trace`
    : undefined;
}

const ofMean = (mean: number): Calls =>
  Number.isInteger(mean) ? { calls: mean } : { calls: Math.ceil(mean), fanOut: { mean, some: Math.min(1, mean) } };

function ofColumn(values: readonly number[], column: string): Calls {
  const count = Math.max(1, values.length);
  const sum = values.reduce((all, value) => all + value, 0);
  const some = values.reduce((all, value) => all + Math.min(1, value), 0);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return { calls: Math.max(1, Math.ceil(most)), fanOut: { mean: sum / count, some: some / count, column } };
}

/** What is assumed of calls that differ between runs. */
export function fanOutAssumption({ calls, fanOut }: Calls, name: string): readonly string[] {
  if (fanOut === undefined) return [];
  const mean = Number(fanOut.mean.toFixed(3));
  const said =
    fanOut.column === undefined
      ? `${mean} calls of a run are ${Math.floor(mean)} or ${calls}, as often as makes that average; a trace with a column of calls gives their distribution`
      : `its calls are those of the column ${fanOut.column}: ${mean} in a run on average, at most ${calls}`;
  return [`${name}: ${said}`];
}
