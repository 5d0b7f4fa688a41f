import { type Command, InvalidArgumentError } from 'commander';
import { asCount, asMs, asPairs, asShare } from './arguments.js';

/** With twenty the 95th percentile lies between the two largest. */
const SAMPLES = 20;
/** As long as one waits for each model at a terminal. */
const TIME_LIMIT = '60s';
/** Doubled up to what an endpoint is sent at once when nobody says; above it Triton's Python backend stalls. */
const BATCHES = [1, 2, 4, 8, 16, 32];

/** The options of `millrace profile`. */
export function profileOptions(command: Command): Command {
  return command
    .argument('<pipeline>', 'its name')
    .option('--profiles <folder>', 'where the profiles are', 'profiles')
    .option('--cluster <file>', 'the inventory, which says on which kind of device each endpoint is')
    .option('--device-kind <kind>', 'in place of an inventory: the kind that all endpoints are on')
    .option(
      '--stage <stage>',
      'only the model of this stage; repeatable',
      (text, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--samples <number>', 'samples of each cell, if the time lasts', asCount, SAMPLES)
    .option(
      '--time-limit <time>',
      'for each model; five samples of each cell are taken all the same',
      asMs,
      asMs(TIME_LIMIT),
    )
    .option('--batches <sizes>', 'sizes of batch, or sequences at once, with commas', asBatches, BATCHES)
    .option(
      '--sizes <sizes>',
      'sizes of input, in the unit of the stage’s kind; of an LLM a prompt’s characters',
      asSizes,
    )
    .option('--variant <name>', 'what tells this way of serving from others, e.g. fp16', 'default')
    .option('--quality <number>', 'of the answers, from 0 to 1', asShare, 1)
    .option('--memory <model=amount>', 'what a model’s weights take, e.g. whisper=1.6GiB; repeatable', asPairs, {})
    .option('--audio <file>', 'speech to recognise (WAV); default: the demo’s question')
    .option('--module <file>', 'module that exports the pipeline; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--check', 'measure nothing: ask the endpoints whether the profiles are still of them')
    .option('--json', 'as one JSON object');
}

function asBatches(text: string): readonly number[] {
  const sizes = text.split(',').map((size) => Number(size.trim() === '' ? Number.NaN : size));
  if (sizes.every((size) => Number.isInteger(size) && size >= 1 && size <= 256)) {
    return [...new Set([1, ...sizes])].sort((a, b) => a - b);
  }
  throw new InvalidArgumentError('It must be whole numbers from 1 to 256 with commas.');
}

function asSizes(text: string): readonly number[] {
  const sizes = text.split(',').map((size) => Number(size.trim() === '' ? Number.NaN : size));
  if (sizes.every((size) => size > 0 && size <= 100_000)) return [...new Set(sizes)].sort((a, b) => a - b);
  throw new InvalidArgumentError('It must be numbers above 0, at most 100000, with commas.');
}
