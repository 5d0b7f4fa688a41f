import { type Command, InvalidArgumentError } from 'commander';
import { asCount, asMs, asNames, asPairs, asShare } from './arguments.js';

/** With twenty samples the 95th percentile is between the two largest. */
const SAMPLES = 20;
/** Default time per model: an acceptable wait at a terminal. */
const TIME_LIMIT = '60s';
/** Doubled up to the default concurrency of an endpoint; above it Triton's Python backend stalls. */
const BATCHES = [1, 2, 4, 8, 16, 32];

/** The options of `millrace profile`. */
export function profileOptions(command: Command): Command {
  return command
    .argument('<pipeline>', 'its name')
    .option('--profiles <folder>', 'folder of the profiles', 'profiles')
    .option('--cluster <file>', 'the inventory, with the device kind of each endpoint')
    .option('--device-kind <kind>', 'instead of an inventory: the device kind of all endpoints')
    .option('--stage <stage>', 'only the model of this stage; repeatable', asNames, [])
    .option('--samples <number>', 'samples per cell, if time permits', asCount, SAMPLES)
    .option('--time-limit <time>', 'limit per model; at least five samples per cell are taken', asMs, asMs(TIME_LIMIT))
    .option('--batches <sizes>', 'batch sizes, or concurrent sequences, separated by commas', asBatches, BATCHES)
    .option(
      '--sizes <sizes>',
      'input sizes, in the unit of the stage’s kind; for an LLM characters of the prompt',
      asSizes,
    )
    .option(
      '--variant <name>',
      'name of this way of serving the model, e.g. fp16, as in the pool’s variants',
      'default',
    )
    .option('--quality <number>', 'of the answers, from 0 to 1; default: that of the pool’s variant, or 1', asShare)
    .option('--memory <model=amount>', 'memory of a model’s weights, e.g. whisper=1.6GiB; repeatable', asPairs, {})
    .option(
      '--per-token <model=amount>',
      'memory of a token in an LLM’s key-value cache, e.g. assistant=128KiB; with --memory; repeatable',
      asPairs,
      {},
    )
    .option('--audio <file>', 'speech to recognise (WAV); default: the demo’s question')
    .option('--module <file>', 'module that exports the pipeline; default: MILLRACE_PIPELINES, else the catalogue')
    .option('--check', 'measure nothing: check whether the profiles still match the endpoints')
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
  throw new InvalidArgumentError('It must be numbers above 0, at most 100000, separated by commas.');
}
