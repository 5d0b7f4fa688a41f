import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import {
  importProfiles,
  importTrace,
  PROFILE_FORMATS,
  type ProfileFormat,
  TRACE_FORMATS,
  type TraceFormat,
} from '../placement/import/index.js';
import { readTrace } from '../placement/trace/index.js';
import { asCount, asPairs, asShare } from './arguments.js';
import { linesOfFile } from './lines-of-file.js';
import { note, print } from './output.js';
import { checkLength } from './text-length.js';

interface TraceOptions {
  readonly out: string;
  readonly speed: number;
  readonly sample: number;
  readonly limit?: number;
  readonly seed: number;
  readonly caches?: number;
  readonly blocks?: number;
}

interface ProfilesOptions {
  readonly out: string;
  readonly kind: Readonly<Record<string, string>>;
  readonly model?: string;
  readonly deviceKind?: string;
  readonly memory: Readonly<Record<string, string>>;
  readonly perToken: Readonly<Record<string, string>>;
}

/** `millrace trace import` and `millrace profiles import`: foreign measurements as files of `millrace place`. */
export function importCommands(cli: Command): void {
  cli
    .command('trace')
    .description('traces of requests for "millrace place"')
    .command('import')
    .description('convert a trace: only times and sizes are kept, times begin at 0')
    .argument('<format>', TRACE_FORMATS.join(', '), oneOf<TraceFormat>(TRACE_FORMATS))
    .argument('<file>', 'the trace as it was published or exported')
    .option('--out <file>', 'the new trace; "-" prints it', 'trace.csv')
    .option('--speed <number>', 'replay it so many times as fast', asAbove0, 1)
    .option('--sample <share>', 'keep this share of the requests, chosen at random', asSample, 1)
    .option('--limit <number>', 'keep at most so many, from the start', asMany)
    .option('--seed <number>', 'seed of the sample, and of the router that knows no prefixes', asCount, 1)
    .option(
      '--caches <number>',
      'of mooncake: add what the prefix caches of up to so many servers have of each prompt, at most 256',
      asCaches,
    )
    .option('--blocks <number>', 'most blocks of 512 tokens in each of them; default: nothing is evicted', asMany)
    .action((format: TraceFormat, file: string, options: TraceOptions) => {
      if (options.blocks !== undefined && options.caches === undefined)
        throw new MillraceError('INVALID_INPUT', '--blocks: it is the size of a prefix cache: pass --caches too');
      const text = importTrace(format, linesOfFile(file, 'INVALID_TRACE'), path.basename(file), { ...options, note });
      if (options.out === '-') {
        print(text.trimEnd());
        return;
      }
      writeFileSync(options.out, text);
      note(`${options.out}: ${text.split('\n').length - 2} requests`);
      if (options.caches !== undefined) for (const line of cacheLines(text)) note(line);
    });
  cli
    .command('profiles')
    .description('profiles of models for "millrace place"')
    .command('import')
    .description('convert measurements of other tools to profiles')
    .argument('<format>', PROFILE_FORMATS.join(', '), oneOf<ProfileFormat>(PROFILE_FORMATS))
    .argument('<file>', 'the measurements')
    .option('--out <folder>', 'folder of the profiles', 'profiles')
    .option('--kind <name=kind>', 'device kind of the inventory for a name in the source; may be repeated', asPairs, {})
    .option('--model <name>', 'the pool, if the source names no model; of a benchmark of an LLM in any case')
    .option('--device-kind <kind>', 'the device kind, if the source names no device')
    .option('--memory <model=amount>', 'memory of a model’s weights; may be repeated', asPairs, {})
    .option('--per-token <model=amount>', 'key-value cache of a token of an LLM; may be repeated', asPairs, {})
    .action((format: ProfileFormat, file: string, { out, kind, ...rest }: ProfilesOptions) => {
      const text = textOf(file);
      const profiles = importProfiles(format, text, path.basename(file), { ...rest, kinds: kind });
      mkdirSync(out, { recursive: true });
      for (const profile of profiles) {
        const name = [profile.model, profile.variant, profile.deviceKind]
          .filter((part) => part !== undefined)
          .join('-');
        writeFileSync(
          path.join(out, `${name.replace(/[^\w.-]+/g, '_')}.json`),
          `${JSON.stringify(profile, null, 2)}\n`,
        );
      }
      note(`${out}: ${profiles.length} profiles`);
      const notes = profiles.flatMap(({ model, note: said }) => (said === undefined ? [] : `${model}: ${said}`));
      for (const each of new Set(notes)) note(each);
    });
}

/** Of a trace with tokens in prefix caches: their share of all prompts, by the number of caches. */
function cacheLines(text: string): readonly string[] {
  const { sizes } = readTrace(text);
  const sum = (values: Float64Array) => values.reduce((all, value) => all + value, 0);
  const all = sum(sizes.tokens_in ?? new Float64Array(0));
  const share = (values: Float64Array | undefined) =>
    `${((100 * sum(values ?? new Float64Array(0))) / all).toFixed(1)} %`;
  return Object.keys(sizes).flatMap((column) => {
    const [, count] = /^tokens_cached_aware_(\d+)$/.exec(column) ?? [];
    if (count === undefined) return [];
    return `${count} caches have ${share(sizes[column])} of the prompts' tokens with a router that knows prefixes, ${share(sizes[`tokens_cached_unaware_${count}`])} without`;
  });
}

/** A whole number of requests or blocks. */
function asMany(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 999999999.');
}

/** Servers whose caches are computed: each takes a pass over the trace for each router. */
const MOST_CACHES = 256;

function asCaches(text: string): number {
  const value = asCount(text);
  if (value <= MOST_CACHES) return value;
  throw new InvalidArgumentError(`It must be at most ${MOST_CACHES}.`);
}

const oneOf =
  <T extends string>(known: readonly T[]) =>
  (text: string): T => {
    const found = known.find((each) => each === text);
    if (found === undefined) throw new InvalidArgumentError(`It must be one of ${known.join(', ')}.`);
    return found;
  };

/** A share that keeps none would leave a trace that nothing can be planned for. */
function asSample(text: string): number {
  const value = asShare(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 1.');
}

function asAbove0(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

/** The text of a file of measurements. */
function textOf(file: string): string {
  try {
    checkLength(file, statSync(file).size, 'INVALID_PROFILE');
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('INVALID_PROFILE', `cannot read ${file}: ${messageOf(error)}`);
  }
}
