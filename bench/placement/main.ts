import { parseArgs } from 'node:util';
import { naivePlacements } from '../../placement/explain/index.js';
import { attainable, buildProblem, Judge, searchFastest } from '../../placement/planner/index.js';
import { rateOf } from '../../placement/simulator/index.js';
import { workloads } from './workloads.js';

/**
 * `npm run bench:placement [-- --json] [--seconds 20]`: on the same devices, the rate at which 99 % of the runs end within
 * the objective, as the planner places the stages and as people place them without measuring.
 */
const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '20' } },
});

const NAIVE = ['all on one device', 'round robin', 'memory table'] as const;

const rows = workloads().map(({ name, input }) => {
  const problem = buildProblem(input);
  const rate = rateOf(problem.load);
  const judge = new Judge(problem);
  const naive = naivePlacements(problem);
  const of = (which: string) => {
    const placement = naive.find((each) => each.name === which);
    return placement ? Number((rate * attainable(judge, placement.candidate)).toFixed(1)) : 0;
  };
  // Without the naive ones as beginnings: what the search finds by itself.
  const planned = searchFastest(problem, {
    timeLimitMs: 1000 * Number(values.seconds),
    clock: () => performance.now(),
  });
  const row = {
    workload: name,
    planned: Number((rate * (planned?.value ?? 0)).toFixed(1)),
    bound: Number((rate * (planned?.bound ?? 0)).toFixed(1)),
    ...Object.fromEntries(NAIVE.map((each) => [each, of(each)])),
  };
  process.stderr.write(`${JSON.stringify(row)}\n`);
  return row as typeof row & Readonly<Record<(typeof NAIVE)[number], number>>;
});

if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
else {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const times = (planned: number, other: number) => (other > 0 ? (planned / other).toFixed(2) : '∞');
  const lines = rows.map((row) => {
    const best = Math.max(...NAIVE.map((each) => row[each]));
    return line([row.workload, row.planned, ...NAIVE.map((each) => row[each]), times(row.planned, best)]);
  });
  const head = ['workload', 'planned', ...NAIVE, 'planned / best other'];
  process.stdout.write(`${[line(head), line(head.map(() => '---')), ...lines].join('\n')}\n`);
}
