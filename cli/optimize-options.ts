import type { Command } from 'commander';
import { asCount, asList, asMs } from './arguments.js';

/** Of the search of settings: as many calls as a busy worker has in flight, and trials for two minutes. */
export const CONCURRENCY = 16;
export const TRIALS = 16;
/** Enough for a 95th percentile that two samples do not decide. */
const SAMPLES = 40;
/** For the timing of all variants of a model in turn. */
const TIME_LIMIT = '2m';

/** The options of `millrace optimize`. */
export function optimizeOptions(command: Command): Command {
  return command
    .argument(
      '<model>',
      'a pool of the embedded servers (minilm, whisper, assistant), or weights: .onnx, .gguf, a folder',
    )
    .option('--data <file>', 'your evaluation set, lines of {"input": …, "expected": …}; default: the embedded model’s')
    .option('--calibration <file>', 'texts for static quantisation, lines of {"input": …}; not those of --data')
    .option('--tokenizer <file>', 'tokenizer.json of weights in ONNX')
    .option('--as <pool>', 'name of the pool that the weights belong to; default: the file’s name')
    .option('--only <variants>', 'these beside the original, separated by commas; default: all', asList)
    .option('--requantise', 'quantise weights that are quantised already; what they have lost stays lost')
    .option('--out <folder>', 'output folder; default: optimized/<pool>')
    .option('--device-kind <kind>', 'kind of this machine’s device in the profiles, as the inventory names it', 'cpu')
    .option('--triton', 'search batch and instance settings of the pool’s model at its Triton, in place of variants')
    .option('--triton-repository <folder>', 'from which its server loads models; default: that of the embedded Triton')
    .option('--concurrency <number>', `calls in flight while settings are measured; default: ${CONCURRENCY}`, asCount)
    .option('--trials <number>', `settings that are measured at most; default: ${TRIALS}`, asCount)
    .option('--slo-p95 <time>', '95th percentile of a call that settings have to keep, such as 200ms', asMs)
    .option('--max-batch <number>', 'largest batch that is tried; default: the model’s max_batch_size', asCount)
    .option('--max-instances <number>', 'most instances that are tried; default: the processors, 4 elsewhere', asCount)
    .option('--size <number>', 'size of the calls, in the unit of the pool’s kind; default: its typical one', asCount)
    .option('--samples <number>', 'rounds of measuring, if time permits', asCount, SAMPLES)
    .option(
      '--time-limit <time>',
      'limit for the rounds, at least five are made; or after which no trial begins',
      asMs,
      asMs(TIME_LIMIT),
    )
    .option('--force', 'replace files in the output folder')
    .option('--json', 'as one JSON object');
}
