import { readFileSync } from 'node:fs';
import { parseOptions } from '../options.js';
import { compared } from './against.js';
import { exactness } from './exact.js';
import { growth } from './growth.js';
import { LOOKS, monotony } from './monotone.js';
import { speed } from './speed.js';
import { trace } from './trace.js';

/**
 * `npm run bench:planner [-- --json] [--instances 300] [--only exact|speed|trace|monotone] [--looks 6000] [--against run.json]`: the
 * planner compared with an enumeration of all placements, its time as pipelines and clusters grow, its time and memory for long loads, and
 * whether harder instances cost more: with `looks` at the clock for each search, and compared with the output of another run with `--json`.
 */
const { values } = parseOptions({
  options: {
    json: { type: 'boolean', default: false },
    instances: { type: 'string', default: '300' },
    only: { type: 'string' },
    looks: { type: 'string', default: String(LOOKS) },
    against: { type: 'string' },
  },
});

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const { only, instances, looks, against: file } = values;
const wanted = (part: string) => only === undefined || only === part;
const exact = wanted('exact') ? exactness(Number(instances), log) : undefined;
const rows = wanted('speed') ? speed(log) : undefined;
const traced = wanted('trace') ? trace(log) : undefined;
const monotone = wanted('monotone') ? monotony(Number(instances), Number(looks), log) : undefined;
const against =
  file !== undefined && monotone ? compared(monotone, JSON.parse(readFileSync(file, 'utf8')).monotone) : undefined;

if (values.json) process.stdout.write(`${JSON.stringify({ exact, speed: rows, trace: traced, monotone, against })}\n`);
else {
  if (exact) process.stdout.write(`${JSON.stringify(exact, null, 2)}\n`);
  if (monotone) process.stdout.write(`${JSON.stringify({ ...monotone, costs: undefined, against }, null, 2)}\n`);
  if (traced) process.stdout.write(`${JSON.stringify(traced, null, 2)}\n`);
  if (rows) process.stdout.write(`${growth(rows)}\n`);
}
