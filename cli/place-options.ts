import { type Command, InvalidArgumentError } from 'commander';
import type { Serving } from '../placement/explain/index.js';
import type { PoolAffinity } from '../placement/planner/index.js';
import { asMs, asNames, asPort, asShare, asWhole } from './arguments.js';

/** Default time limit of the search: an acceptable wait at a terminal. */
const TIME_LIMIT = '10s';
/** Default age limit of profiles, a quarter of a year: drivers and servers are updated about as often. */
const PROFILE_AGE = '90d';

/**
 * Defaults of `millrace replan`: how far it looks back, and how long it samples the servers' own counters; some hundred
 * runs and calls.
 */
const REPLAN = { window: '5m', look: '10s' } as const;

type Affinity = PoolAffinity['affinity'];

/** The options of `millrace place`. */
export function placeOptions(command: Command): Command {
  return groundOptions(command)
    .option(
      '--rate <number>',
      'runs per second instead of a trace',
      (text: string, all: readonly number[]) => [...all, asPositive(text)],
      [],
    )
    .option(
      '--objective <objective>',
      'cost: the cheapest placement for the load; rate: the highest rate on the devices',
      asObjective,
      'cost',
    )
    .option(
      '--batch-delay <time>',
      'longest time that batches may wait to fill, e.g. 300ms; default: none, they begin as soon as a server is free',
      asMs,
    )
    .option('--what-if <question>', '"add 1×a100", "without gpu1/0", "rate 2x", "slo 600ms"; repeatable', asNames, [])
    .option('--json', 'print placement.json');
}

/** The options of `millrace place day`. */
export function dayOptions(command: Command): Command {
  return groundOptions(command)
    .option('--rates <file>', 'runs per second in each hour, instead of a trace: hour,<pipeline>[,<pipeline>…]')
    .option(
      '--cold-start <time>',
      'from the start of a server to its first answer, at most 1h; of one model: tts=3m; default: 2m; repeatable',
      asColdStart,
    )
    .option('--switch-cost <amount>', 'cost of each change of the placement', asAmount, 0)
    .option('--max-switches <count>', 'most changes of the placement in the day; default: any number', asWhole)
    .option('--once', 'the day does not repeat: no change back to the placement of its first hour')
    .option('--json', 'print schedule.json');
}

/** What both share. */
function groundOptions(command: Command): Command {
  return command
    .option('--pipeline <name>', 'file with a plan or short form, or a pipeline’s name; repeatable', asNames, [])
    .option('--cluster <file>', 'the inventory, cluster.yaml')
    .option('--profiles <folder>', 'profiles, one JSON file each')
    .option('--trace <file>', 'arrivals: timestamp_s[,size…]; one per pipeline', asNames, [])
    .option('--cv <number>', 'variation of the time between runs; 1: Poisson, more: bursts', asPositive, 1)
    .option('--slo-p99 <time>', '99 % of the runs of each pipeline finish within it, e.g. 800ms', asMs)
    .option('--slo-p95 <time>', '95 % of the runs of each pipeline finish within it', asMs)
    .option(
      '--slo <stage.metric.percentile=time>',
      'objective of a stage: ttft, ttfa, tpot or latency at p95, p99 or, left out, the goodput, e.g. answer.ttft.p99=400ms; repeatable',
      asNames,
      [],
    )
    .option(
      '--goodput <share>',
      'least share of the runs that meets all of these objectives at once, e.g. 0.95',
      asGoodput,
    )
    .option('--worst-minute <share>', 'the same for the runs of each minute of the load', asGoodput)
    .option(
      '--error-budget <share>',
      'largest part of the runs that may be late which the plan uses, so that the rest is left for failures, e.g. 0.5: of a p99, 0.5 % of the runs',
      asBudget,
    )
    .option(
      '--serve <model=how>',
      'an LLM’s prompts and answers: together (default) by the same replicas, apart by two pools, either: as is cheaper; repeatable',
      asServing,
      {},
    )
    .option(
      '--affinity <model=how>',
      'how an LLM’s calls choose among its endpoints, where a trace has tokens in prefix caches: session, prefix or none; default: the models file; repeatable',
      asAffinity,
      {},
    )
    .option('--survive <loss...>', 'the objectives also hold after any one loss: 1 device, or 1 node')
    .option('--quality-floor <number>', 'least quality of a variant, from 0 to 1', asShare)
    .option(
      '--quality <number>',
      'least quality of every pipeline from end to end: the product of its stages’ variants, from 0 to 1',
      asShare,
    )
    .option(
      '--assume <stage.figure=number>',
      'a value missing from the plan, e.g. answer.cacheHitRate=0.4; repeatable',
      asNames,
      [],
    )
    .option(
      '--size <column=number>',
      'a size of every run that the load does not name, e.g. tokens_in=512; repeatable',
      (text: string, all: Readonly<Record<string, number>>) => ({ ...all, ...asSize(text) }),
      {},
    )
    .option('--time-limit <time>', 'the best placement found by then is used', asMs, asMs(TIME_LIMIT))
    .option('--max-profile-age <time>', 'older profiles are rejected', asMs, asMs(PROFILE_AGE))
    .option('--seed <number>', 'seed of the simulation', asPositive, 1)
    .option('--module <file>', 'module that exports the pipeline; default: MILLRACE_PIPELINES, else the catalogue');
}

/** The options of `millrace replan`. */
export function replanOptions(command: Command): Command {
  return command
    .option('--placement <file>', 'the placement in force; default: MILLRACE_PLACEMENT')
    .requiredOption('--cluster <file>', 'the inventory, cluster.yaml')
    .requiredOption('--profiles <folder>', 'profiles, one JSON file each')
    .option('--pipeline <name>', 'as for place; default: the placement’s pipelines, by name; repeatable', asNames, [])
    .option('--assume <stage.figure=number>', 'as for place; repeatable', asNames, [])
    .option('--window <time>', 'how far to look back, at most until it was applied', asMs, asMs(REPLAN.window))
    .option('--look <time>', 'how long to sample the servers’ own counters', asMs, asMs(REPLAN.look))
    .option('--tolerance <share>', 'share that a figure may differ from its prediction by; default: 0.2', asShare)
    .option('--scheduled', 'the placement serves hours of a schedule: less load than in its busiest is no drift')
    .option('--every <time>', 'repeat at this interval, and report what is new', asMs)
    .option(
      '--auto <within...>',
      'apply what a policy allows, verify it and take it back if it is worse: within policy.yaml; default: only propose',
    )
    .option('--cv <number>', 'variation of the time between runs; 1: Poisson, more: bursts', asPositive, 1)
    .option('--time-limit <time>', 'the best placement found by then is used', asMs, asMs(TIME_LIMIT))
    .option(
      '--metrics-port <port>',
      'serve predicted and measured figures to Prometheus; with --every or --auto',
      asPort,
    )
    .option('--seed <number>', 'seed of the simulation', asPositive, 1)
    .option('--out <folder>', 'output folder of a proposal', '.')
    .option('--module <file>', 'module that exports the pipelines; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--json', 'print measurements, drift and proposal as one JSON object');
}

function asPositive(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function asAmount(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError('It must be an amount of 0 or more.');
}

/** Longer than an hour, a server would have to start before the hour before. */
const LONGEST_START_MS = 3_600_000;

/** `90s` for all models, `assistant=4m` for one; the name '' stands for all others. */
function asColdStart(text: string, before: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  const at = text.lastIndexOf('=');
  const value = asMs(text.slice(at + 1));
  if (value > LONGEST_START_MS) throw new InvalidArgumentError('It must be at most 1h.');
  return { ...before, [text.slice(0, Math.max(0, at))]: value };
}

/** Below a half it is no promise; all runs are more than a simulation of some thousand can promise. */
function asGoodput(text: string): number {
  const value = asShare(text);
  if (value >= 0.5 && value <= 0.999) return value;
  throw new InvalidArgumentError('It must be a share from 0.5 to 0.999.');
}

/** Less of the 1 % that a p99 lets be late is a handful of the runs that are simulated. */
function asBudget(text: string): number {
  const value = asShare(text);
  if (value >= 0.1) return value;
  throw new InvalidArgumentError('It must be a share from 0.1 to 1.');
}

function asSize(text: string): Record<string, number> {
  const [, column, value] = /^([a-z][a-z0-9_]*)=(.+)$/.exec(text) ?? [];
  if (column === undefined) throw new InvalidArgumentError('It must be a column and a number, e.g. tokens_in=512.');
  return { [column]: asPositive(value ?? '') };
}

const AFFINITIES = ['session', 'prefix', 'none'] as const satisfies readonly Affinity[];

/** `assistant=prefix`. */
function asAffinity(text: string, before: Readonly<Record<string, Affinity>>): Readonly<Record<string, Affinity>> {
  const at = text.lastIndexOf('=');
  const how = AFFINITIES.find((each) => each === text.slice(at + 1));
  if (at > 0 && how !== undefined) return { ...before, [text.slice(0, at)]: how };
  throw new InvalidArgumentError(`It must be <model>=<how>, with one of ${AFFINITIES.join(', ')}.`);
}

const SERVINGS = ['together', 'apart', 'either'] as const satisfies readonly Serving[];

/** `assistant=apart`. */
function asServing(text: string, before: Readonly<Record<string, Serving>>): Readonly<Record<string, Serving>> {
  const at = text.lastIndexOf('=');
  const how = SERVINGS.find((each) => each === text.slice(at + 1));
  if (at > 0 && how !== undefined) return { ...before, [text.slice(0, at)]: how };
  throw new InvalidArgumentError('It must be a model and together, apart or either, e.g. assistant=apart.');
}

function asObjective(text: string): 'cost' | 'rate' {
  if (text === 'cost' || text === 'rate') return text;
  throw new InvalidArgumentError('It must be cost or rate.');
}
