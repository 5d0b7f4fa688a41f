import { expect } from 'vitest';
import type { Call, CallContext, Reply } from '../../activities/connectors/connector.js';
import type { ContractCall } from '../../activities/connectors/contract/index.js';

/* Calls of the contract suite that servers behind presets answer, and fixtures of them. */

/** Checks a reply's output. */
export const output = (expected: object) => (reply: Reply) => expect(reply.output).toEqual(expected);

export const artifactOf = (mime: string) => ({
  uri: `artifact://t/${'0'.repeat(64)}`,
  sha256: '0'.repeat(64),
  mime,
  bytes: 3,
});

/** The bytes of every artifact. */
export const bytes = async () => Uint8Array.from([1, 2, 3]);

/** The samples of every artifact: a tenth of a second of silence. */
export const silence: CallContext['audio'] = {
  async *read() {
    yield new Float32Array(160);
  },
  write: () => Promise.reject(new Error('no audio is written')),
};

const labels = { labels: ['yes', 'no'] };
const tensor = { dtype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] } as const;
const format = { X: { dtype: 'FP32', shape: [-1, 2] } };
const passages = [
  { id: 'a', text: 'A' },
  { id: 'b', text: 'B' },
] as const;

const CALLS: Readonly<Record<string, Pick<Call, 'with' | 'input'>>> = {
  chat: { with: { maxTokens: 16 }, input: { prompt: 'What is the capital of France?', history: [] } },
  classify: { with: labels, input: { text: 'text' } },
  detect: { with: {}, input: { image: artifactOf('image/png') } },
  embed: { with: {}, input: { text: 'embed' } },
  infer: { with: { inputs: format, outputs: format }, input: { X: tensor } },
  rerank: { with: {}, input: { query: 'q', passages } },
  transcribe: { with: {}, input: { audio: artifactOf('audio/wav') } },
};

const ANSWERS: Readonly<Record<string, object>> = {
  chat: { text: 'Paris, of course' },
  classify: { label: 'yes', score: 0.75, scores: { yes: 0.75, no: 0.25 } },
  detect: { detections: [{ label: 'cat', score: 0.9 }] },
  embed: { embedding: [0.6, 0.8] },
  infer: { X: tensor },
  rerank: {
    passages: [
      { ...passages[1], score: 0.1 },
      { ...passages[0], score: 0 },
    ],
  },
  transcribe: { text: 'RIFF of 364' },
};

/** The answer to `classify` of a server that gives two numbers, as a model of any kind may. */
export const TWO_NUMBERS = { label: 'no', score: 4, scores: { yes: 3, no: 4 } };

/**
 * A call of each kind.
 * @param answers what the server answers otherwise, by kind
 * @param modelOf the kind's model there
 */
export function callsOf(
  kinds: Iterable<string>,
  answers: Readonly<Record<string, object>> = {},
  modelOf: (kind: string) => string = () => 'model',
): Readonly<Record<string, ContractCall>> {
  const callOf = (kind: string): ContractCall => {
    const call = CALLS[kind];
    const answer = answers[kind] ?? ANSWERS[kind];
    if (call === undefined || answer === undefined) throw new Error(`no call of kind ${kind}`);
    return { call: { ...call, model: modelOf(kind) }, check: output(answer) };
  };
  return Object.fromEntries([...kinds].map((kind) => [kind, callOf(kind)]));
}

/** A call of `classify` with this text. */
export const asking = (text: string | number, model = 'model'): Call => ({
  kind: 'classify',
  model,
  with: labels,
  input: { text },
});
