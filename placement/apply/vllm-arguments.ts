import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { PlacedPool } from '../document/index.js';

/**
 * The share covers weights, activations and key-value cache. vLLM's default is 0.92; above this limit nothing is left
 * for CUDA's context.
 */
const MOST_SHARE = 0.95;
/** A profile measures weights and cache; CUDA’s context and the allocator need some more. */
const SLACK = 0.02;

export interface VllmOptions {
  /** The model's location for vLLM: a repository or a folder. */
  readonly weights: string;
  /** Memory of each of the replica's devices, in bytes. */
  readonly deviceMemoryBytes: number;
  readonly port: number;
  /** vLLM's `--speculative-config`, e.g. `{"method": "ngram", "num_speculative_tokens": 4}`. */
  readonly speculative?: JsonObject | undefined;
  /** vLLM's `--tool-call-parser`: the model's format of tool calls. Without it vLLM refuses every call with tools. */
  readonly toolParser?: string | undefined;
}

/**
 * The arguments of `vllm` for one replica. Throws `INVALID_PLACEMENT` for a pool that needs more memory than its device
 * has.
 */
export function vllmArguments(pool: PlacedPool, options: VllmOptions): string[] {
  const { model, parallel, maxBatch, memoryBytes } = pool;
  const { weights, deviceMemoryBytes, port, speculative, toolParser } = options;
  if (memoryBytes === 0) {
    const message = `${model}: its profile states no memory, which vLLM needs for its memory limit: profile it with --memory ${model}=<amount>, then place again`;
    throw new MillraceError('INVALID_PLACEMENT', message, {
      fields: [{ field: `pools.${model}.memoryBytes`, message }],
    });
  }
  const share = Math.ceil((memoryBytes / deviceMemoryBytes + SLACK) * 100) / 100;
  if (share > MOST_SHARE) {
    const message = `${model} needs ${share} of its device’s memory, more than vLLM’s limit of ${MOST_SHARE}: place with less`;
    throw new MillraceError('INVALID_PLACEMENT', message, {
      fields: [{ field: `pools.${model}.memoryBytes`, message }],
    });
  }
  return [
    ...['serve', weights, '--served-model-name', model, '--port', String(port)],
    ...(parallel.tensor > 1 ? ['--tensor-parallel-size', String(parallel.tensor)] : []),
    ...(parallel.pipeline > 1 ? ['--pipeline-parallel-size', String(parallel.pipeline)] : []),
    ...['--gpu-memory-utilization', share.toFixed(2), '--max-num-seqs', String(maxBatch)],
    ...(speculative ? ['--speculative-config', JSON.stringify(speculative)] : []),
    ...(toolParser !== undefined ? ['--enable-auto-tool-choice', '--tool-call-parser', toolParser] : []),
  ];
}

/** A command line for a POSIX shell. */
export const shellLine = (words: readonly string[]): string =>
  words.map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
