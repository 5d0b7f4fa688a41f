import { makePlacement } from '../../placement/explain/index.js';
import { tracedInput } from './instances.js';
import type { Asked, Traced } from './trace.js';

/* One search of `trace`, in a process of its own for its memory: the last argument has what is asked. */

const { limitMs, searchSeed, ...instance } = JSON.parse(process.argv.at(-1) ?? '') as Asked;
const input = { ...tracedInput(instance), seed: searchSeed };
/** Processor time of this process, in milliseconds. */
const clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
const began = clock();
const { costPerHour: cost, bound } = makePlacement(input, { objective: 'cost', timeLimitMs: limitMs, clock });
const found: Traced = {
  cost,
  bound,
  cpuMs: Math.round(clock() - began),
  maxMiB: Math.round(process.resourceUsage().maxRSS / 1_024),
};
process.stdout.write(JSON.stringify(found));
