import type { Command } from 'commander';
import { asCount, asList, asMs } from './arguments.js';

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
    .option('--samples <number>', 'rounds of measuring, if time permits', asCount, SAMPLES)
    .option('--time-limit <time>', 'limit for the rounds; at least five are made', asMs, asMs(TIME_LIMIT))
    .option('--force', 'replace files in the output folder')
    .option('--json', 'as one JSON object');
}
