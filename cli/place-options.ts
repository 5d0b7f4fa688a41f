import { type Command, InvalidArgumentError } from 'commander';
import { asMs, asShare } from './arguments.js';

/** How long a placement is searched for when nobody says: what one waits for at a terminal. */
const TIME_LIMIT = '10s';
/** A quarter: drivers and servers are renewed about as often, and nobody remembers what ran before. */
const PROFILE_AGE = '90d';

/** What `millrace replan` looks back over, and how long it watches the servers' own counts: some hundred runs and calls. */
const REPLAN = { window: '5m', look: '10s' } as const;

/** The options of `millrace place`. */
export function placeOptions(command: Command): Command {
  const collect = (text: string, all: readonly string[]) => [...all, text];
  return command
    .requiredOption(
      '--pipeline <name>',
      'a plan or short form as a file, or a pipeline’s name; repeatable',
      collect,
      [],
    )
    .requiredOption('--cluster <file>', 'the inventory, cluster.yaml')
    .requiredOption('--profiles <folder>', 'profiles, one JSON file each')
    .option('--trace <file>', 'arrivals: timestamp_s[,size…]; one for each pipeline', collect, [])
    .option(
      '--rate <number>',
      'runs a second in place of a trace',
      (text: string, all: readonly number[]) => [...all, asPositive(text)],
      [],
    )
    .option('--cv <number>', 'variation of the time between runs; 1: Poisson, more: bursts', asPositive, 1)
    .option('--slo-p99 <time>', '99 % of the runs end within it, e.g. 800ms', asMs)
    .option('--slo-p95 <time>', '95 % of the runs end within it', asMs)
    .option(
      '--objective <objective>',
      'cost: the cheapest that holds the load; rate: the most that the devices hold',
      asObjective,
      'cost',
    )
    .option('--quality-floor <number>', 'least quality of a variant, from 0 to 1', asShare)
    .option(
      '--assume <stage.figure=number>',
      'what the plan does not say, e.g. answer.cacheHitRate=0.4; repeatable',
      collect,
      [],
    )
    .option('--what-if <question>', '"add 1×a100", "without gpu1/0", "rate 2x", "slo 600ms"; repeatable', collect, [])
    .option('--time-limit <time>', 'the best placement found by then is taken', asMs, asMs(TIME_LIMIT))
    .option('--max-profile-age <time>', 'profiles measured longer ago are refused', asMs, asMs(PROFILE_AGE))
    .option('--seed <number>', 'of the simulated luck', asPositive, 1)
    .option('--module <file>', 'module that exports the pipeline; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--json', 'print placement.json');
}

/** The options of `millrace replan`. */
export function replanOptions(command: Command): Command {
  const collect = (text: string, all: readonly string[]) => [...all, text];
  return command
    .option('--placement <file>', 'the placement in force; default: MILLRACE_PLACEMENT')
    .requiredOption('--cluster <file>', 'the inventory, cluster.yaml')
    .requiredOption('--profiles <folder>', 'profiles, one JSON file each')
    .option(
      '--pipeline <name>',
      'as for place; default: those of the placement, by their names; repeatable',
      collect,
      [],
    )
    .option('--assume <stage.figure=number>', 'as for place; repeatable', collect, [])
    .option('--window <time>', 'how far to look back, at most to when it was applied', asMs, asMs(REPLAN.window))
    .option('--look <time>', 'how long to watch the servers’ own counts', asMs, asMs(REPLAN.look))
    .option('--tolerance <share>', 'share that a figure may differ from its prediction by; default: 0.2', asShare)
    .option('--every <time>', 'keep watching, and tell what is new', asMs)
    .option('--cv <number>', 'variation of the time between runs; 1: Poisson, more: bursts', asPositive, 1)
    .option('--time-limit <time>', 'the best placement found by then is taken', asMs, asMs(TIME_LIMIT))
    .option('--seed <number>', 'of the simulated luck', asPositive, 1)
    .option('--out <folder>', 'where a proposal is written', '.')
    .option('--module <file>', 'module that exports the pipelines; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--json', 'what was measured, what has drifted and the proposal as one JSON object');
}

function asPositive(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function asObjective(text: string): 'cost' | 'rate' {
  if (text === 'cost' || text === 'rate') return text;
  throw new InvalidArgumentError('It must be cost or rate.');
}
