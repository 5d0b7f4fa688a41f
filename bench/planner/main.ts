import { parseArgs } from 'node:util';
import { exactness } from './exact.js';
import { growth } from './growth.js';
import { speed } from './speed.js';

/**
 * `npm run bench:planner [-- --json] [--instances 300] [--only exact|speed]`: the planner compared with an enumeration
 * of all placements, and its time as pipelines and clusters grow.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    instances: { type: 'string', default: '300' },
    only: { type: 'string' },
  },
});

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const exact = values.only === 'speed' ? undefined : exactness(Number(values.instances), log);
const rows = values.only === 'exact' ? undefined : speed(log);

if (values.json) process.stdout.write(`${JSON.stringify({ exact, speed: rows })}\n`);
else {
  if (exact) process.stdout.write(`${JSON.stringify(exact, null, 2)}\n`);
  if (rows) process.stdout.write(`${growth(rows)}\n`);
}
