import { attainable, buildProblem, type Candidate, Judge, searchFastest } from '../../placement/planner/index.js';
import { rateOf } from '../../placement/simulator/index.js';
import { parseOptions } from '../options.js';
import { BASELINES, baselines } from './baselines.js';
import { workloads } from './workloads.js';

/**
 * `npm run bench:placement [-- --json] [--seconds 10]`: on the same devices, the rate at which 99 % of the runs meet the
 * objective, for the planner's placement and for those that people make: three rules of thumb that look at memory alone, and
 * two that use the profiles. All are measured on arrivals and random draws that the planner has not seen; otherwise it would
 * be judged by what it was fitted to. `--seconds`: of the processor, for each search.
 */
const { values } = parseOptions({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '10' } },
});

/** Time of the processor: on a busy machine a search is not a worse one. */
const processorMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const rows = workloads().map(({ name, input, unseen }) => {
  const problem = buildProblem(input);
  const other = buildProblem(unseen);
  const rate = rateOf(other.load);
  const judge = new Judge(other);
  const held = (candidate: Candidate) => Number((rate * attainable(judge, candidate)).toFixed(1));
  // Made from the arrivals that the planner has, judged on the others, as its own placement.
  const others = baselines(problem);
  const of = (which: (typeof BASELINES)[number]) => {
    const candidate = others.get(which);
    return candidate ? held(candidate) : 0;
  };
  // Without the rules of thumb as starting points: only what the search finds by itself.
  const placed = searchFastest(problem, {
    timeLimitMs: 1000 * Number(values.seconds),
    clock: processorMs,
  });
  const row = {
    workload: name,
    placed: placed ? held(placed.candidate) : 0,
    /** The search's own result, on the arrivals that it was made for. */
    promised: Number((rateOf(problem.load) * (placed?.value ?? 0)).toFixed(1)),
    bound: Number((rateOf(problem.load) * (placed?.bound ?? 0)).toFixed(1)),
    ...Object.fromEntries(BASELINES.map((each) => [each, of(each)])),
  };
  process.stderr.write(`${JSON.stringify(row)}\n`);
  return row as typeof row & Readonly<Record<(typeof BASELINES)[number], number>>;
});

if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
else {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const times = (placed: number, best: number) => (best > 0 ? (placed / best).toFixed(2) : '∞');
  const lines = rows.map((row) => {
    const best = Math.max(...BASELINES.map((each) => row[each]));
    return line([
      row.workload,
      row.promised,
      row.placed,
      ...BASELINES.map((each) => row[each]),
      times(row.placed, best),
    ]);
  });
  const head = ['workload', 'promised', 'placed', ...BASELINES, 'placed / best other'];
  process.stdout.write(`${[line(head), line(head.map(() => '---')), ...lines].join('\n')}\n`);
}
