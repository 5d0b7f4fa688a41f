import { parseArgs } from 'node:util';
import { exactness } from './exact.js';
import { growth } from './growth.js';
import { monotony } from './monotone.js';
import { speed } from './speed.js';

/**
 * `npm run bench:planner [-- --json] [--instances 300] [--only exact|speed|monotone]`: the planner compared with an
 * enumeration of all placements, its time as pipelines and clusters grow, and whether harder instances cost more.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    instances: { type: 'string', default: '300' },
    only: { type: 'string' },
  },
});

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const { only, instances } = values;
const wanted = (part: string) => only === undefined || only === part;
const exact = wanted('exact') ? exactness(Number(instances), log) : undefined;
const rows = wanted('speed') ? speed(log) : undefined;
const monotone = wanted('monotone') ? monotony(Number(instances), log) : undefined;

if (values.json) process.stdout.write(`${JSON.stringify({ exact, speed: rows, monotone })}\n`);
else {
  if (exact) process.stdout.write(`${JSON.stringify(exact, null, 2)}\n`);
  if (monotone) process.stdout.write(`${JSON.stringify(monotone, null, 2)}\n`);
  if (rows) process.stdout.write(`${growth(rows)}\n`);
}
