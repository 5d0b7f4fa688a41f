import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { PlacedPool } from '../document/index.js';
import { MOST_RESERVED_BYTES } from '../profiles/index.js';
import { kvTransfer } from './apart.js';

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
  /** The model's name in the models file: calls name it. */
  readonly servedAs: string;
  /** The pool's kind of stage: embedders and rerankers are served by vLLM's pooling runner, others as LLMs. */
  readonly kind: string;
  /** Bytes that this replica may use on each of its devices; absent: those of the pool. */
  readonly replicaBytes?: number | undefined;
  /** Tokens of its key-value cache, bytes of one of them on each device, and tokens of the model's context; absent: unknown. */
  readonly cacheTokens?: number | undefined;
  readonly tokenBytes?: number | undefined;
  /** Bytes on each device beside weights and cache; absent: the tokens of the cache also stand for them. */
  readonly reservedBytes?: number | undefined;
  readonly contextTokens?: number | undefined;
  /** Most tokens of prompts in a step, as the profile states them, 0: prompts are not divided; absent: vLLM decides. */
  readonly chunkTokens?: number | undefined;
  /** Arguments of the operator; those with the name of a generated one, or its opposite, replace it. */
  readonly more?: readonly string[] | undefined;
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
  const {
    weights,
    servedAs,
    kind,
    deviceMemoryBytes,
    port,
    speculative,
    toolParser,
    replicaBytes,
    tokenBytes = 0,
    more = [],
  } = options;
  if (memoryBytes === 0) {
    const message = `${model}: its profile states no memory, which vLLM needs for its memory limit: profile it with --memory ${model}=<amount>, then place again`;
    throw new MillraceError('INVALID_PLACEMENT', message, {
      fields: [{ field: `pools.${model}.memoryBytes`, message }],
    });
  }
  // A replica's own bytes are within what its device leaves to LLM servers, and of these all but a part of a token.
  const share =
    replicaBytes === undefined
      ? Math.ceil((memoryBytes / deviceMemoryBytes + SLACK) * 100) / 100
      : Math.floor(((replicaBytes + tokenBytes) / deviceMemoryBytes) * 100 + 1e-6) / 100;
  if (share > MOST_SHARE) {
    const message = `${model} needs ${share} of its device’s memory, more than vLLM’s limit of ${MOST_SHARE}: place with less`;
    throw new MillraceError('INVALID_PLACEMENT', message, {
      fields: [{ field: `pools.${model}.memoryBytes`, message }],
    });
  }
  const { contextTokens } = options;
  const longest = contextTokens === undefined ? undefined : Math.min(contextTokens, longestOf(options, share));
  const names = servedAs === model ? [model] : [servedAs, model];
  const own = [
    ...['serve', weights, '--served-model-name', ...names, '--port', String(port)],
    ...(POOLING.has(kind) ? ['--runner', 'pooling'] : []),
    ...(parallel.tensor > 1 ? ['--tensor-parallel-size', String(parallel.tensor)] : []),
    ...(parallel.pipeline > 1 ? ['--pipeline-parallel-size', String(parallel.pipeline)] : []),
    ...['--gpu-memory-utilization', share.toFixed(2), '--max-num-seqs', String(maxBatch)],
    ...(POOLING.has(kind) ? [] : chunking(options, maxBatch)),
    ...(longest === undefined ? [] : ['--max-model-len', String(longest)]),
    ...(speculative ? ['--speculative-config', JSON.stringify(speculative)] : []),
    ...(toolParser !== undefined ? ['--enable-auto-tool-choice', '--tool-call-parser', toolParser] : []),
    // The prediction counts on it; some builds have it switched off.
    ...(pool.prefixCache ? ['--enable-prefix-caching'] : []),
    ...kvTransfer(pool),
  ];
  return [...without(own, more), ...more];
}

/**
 * Tokens of the longest sequence with which vLLM starts. It refuses a length that its cache does not hold: the planned one, less what the rounding of
 * the share takes. A placement of an earlier release has not reserved anything for activations and CUDA graphs: at least half of its cache is
 * left, since a small model takes less.
 */
function longestOf(options: VllmOptions, share: number): number {
  const { cacheTokens, replicaBytes, deviceMemoryBytes, reservedBytes } = options;
  if (cacheTokens === undefined) return Number.POSITIVE_INFINITY;
  // A placement of an earlier release does not state it: with the weights among the tokens less is reserved.
  const { tokenBytes = (replicaBytes ?? Number.POSITIVE_INFINITY) / Math.max(1, cacheTokens) } = options;
  const cut = replicaBytes === undefined ? 0 : Math.max(0, Math.round(replicaBytes - share * deviceMemoryBytes));
  if (reservedBytes !== undefined) return Math.max(1, cacheTokens - Math.ceil(cut / tokenBytes));
  const left = cacheTokens - Math.ceil((MOST_RESERVED_BYTES + cut) / tokenBytes);
  return Math.max(left, Math.floor(cacheTokens / 2), 1);
}

/**
 * How prompts are divided among steps, where the profile states it and the operator's arguments do not. Left to itself, `vllm serve` takes
 * 2048 tokens on devices of less than 70 GiB and on the A100, and 8192 or more on others (vLLM: vllm/engine/arg_utils.py,
 * get_batch_defaults).
 *
 * Of these tokens vLLM keeps, for each sequence, at most as many for drafting as are drafted (vllm/config/speculative.py,
 * max_num_new_slots_for_drafting), and it does not start if fewer than one for each sequence are left (vllm/config/scheduler.py). So it gets at
 * least sequences x (1 + drafted tokens), what a step checks of a full batch. If the drafted tokens are unknown, the option is left out.
 */
function chunking({ chunkTokens, speculative, more = [] }: VllmOptions, maxBatch: number): readonly string[] {
  if (chunkTokens === undefined || more.some((word) => CHUNKING.has(optionOf(word)))) return [];
  if (chunkTokens === 0) return ['--no-enable-chunked-prefill'];
  const isOwn = argumentOf(more, '--speculative-config') !== undefined;
  const drafted = isOwn ? undefined : speculative === undefined ? 0 : speculative.num_speculative_tokens;
  if (typeof drafted !== 'number') return [];
  const sequences = Math.max(maxBatch, Number(argumentOf(more, '--max-num-seqs')) || 0);
  return ['--max-num-batched-tokens', String(Math.max(chunkTokens, sequences * (1 + drafted)))];
}

/** Options of the operator that decide on it. */
const CHUNKING: ReadonlySet<string> = new Set([
  '--max-num-batched-tokens',
  '--enable-chunked-prefill',
  '--no-enable-chunked-prefill',
]);

/** The value that arguments give an option, as `--name value` or `--name=value`: the last one counts. */
export function argumentOf(words: readonly string[], name: string): string | undefined {
  const at = words.findLastIndex((word) => word.startsWith('--') && optionOf(word) === name);
  const word = words[at];
  if (word === undefined) return undefined;
  return word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[at + 1];
}

/** Kinds of stages that vLLM serves with its pooling runner. A classifier is an LLM that is asked in a chat, which that runner lacks. */
export const POOLING: ReadonlySet<string> = new Set(['embed', 'rerank']);

/** Arguments without the options, and their values, that others name too, or whose opposite they name. */
function without(own: readonly string[], more: readonly string[]): readonly string[] {
  const named = new Set(more.flatMap((word) => (word.startsWith('--') ? bothOf(optionOf(word)) : [])));
  let gone = false;
  return own.filter((word) => {
    if (word.startsWith('--')) gone = named.has(word);
    return !gone;
  });
}

/** vLLM takes underscores for hyphens. */
export const optionOf = (word: string): string => (word.split('=', 1)[0] ?? word).replaceAll('_', '-');

/** `--enable-prefix-caching` and `--no-enable-prefix-caching`. */
const bothOf = (name: string): readonly string[] => [
  name,
  name.startsWith('--no-') ? `--${name.slice('--no-'.length)}` : `--no-${name.slice('--'.length)}`,
];
