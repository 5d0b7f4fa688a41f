import { type TensorMap, tensorMap } from './map-schema.js';

const TEXT = { TEXT: { from: 'text', dtype: 'BYTES', shape: [1, 1] } } as const;

/** The tensors that models of Millrace's own have: the maps of pools without one. Models have a batch dimension. */
const MAPS = {
  transcribe: {
    inputs: { AUDIO: { from: 'audio', dtype: 'FP32', shape: [1, -1], sampleRate: 16_000 } },
    outputs: { TEXT: { to: 'text' } },
  },
  embed: { inputs: TEXT, outputs: { EMBEDDING: { to: 'embedding' } } },
  classify: { inputs: TEXT, outputs: { SCORES: { to: 'scores' } } },
  synthesize: { inputs: TEXT, outputs: { AUDIO: { to: 'audio' }, SAMPLE_RATE: { to: 'sampleRate' } } },
  rerank: {
    inputs: {
      QUERY: { from: 'query', dtype: 'BYTES', shape: [1, 1] },
      PASSAGES: { from: 'passages', dtype: 'BYTES', shape: [1, -1] },
    },
    outputs: { SCORES: { to: 'scores' } },
  },
  // The tensors of Triton's vLLM backend and of TensorRT-LLM's ensemble; a request has those that the model has.
  chat: {
    inputs: {
      text_input: { from: 'prompt' },
      stream: { from: 'stream', optional: true },
      sampling_parameters: { from: 'sampling', encoding: 'json', optional: true },
      exclude_input_in_output: { value: true, optional: true },
      max_tokens: { from: 'maxTokens', optional: true },
      temperature: { from: 'temperature', optional: true },
      top_p: { from: 'topP', optional: true },
      top_k: { from: 'topK', optional: true },
      random_seed: { from: 'seed', optional: true },
      stop_words: { from: 'stop', optional: true },
    },
    outputs: { text_output: { to: 'text' } },
  },
} as const;

/** By stage kind. */
export const DEFAULT_MAPS: Readonly<Record<string, TensorMap>> = Object.fromEntries(
  Object.entries(MAPS).map(([kind, map]) => [kind, tensorMap(kind).parse(map)]),
);
