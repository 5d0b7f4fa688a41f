import { expect } from 'vitest';
import type { Call, CallContext, Reply } from '../../activities/connectors/connector.js';
import type { ContractCall } from '../../activities/connectors/contract/index.js';

const output = (expected: object) => (reply: Reply) => expect(reply.output).toEqual(expected);
const tensor = { dtype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] } as const;
const format = { dtype: 'FP32', shape: [-1, 2] };
const artifact = { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: 'audio/wav', bytes: 3 };

/** The calls of the suite by kind, to models as the services name them. */
export const callsOf = (
  model: (kind: string) => string,
  kinds: readonly string[],
  classified: 'labels' | 'numbers' = 'labels',
): Readonly<Record<string, ContractCall>> => {
  const of = (kind: string, input: Call['input'], options: Call['with'] = {}): Omit<Call, 'kind'> => ({
    model: model(kind),
    with: options,
    input,
  });
  const numbers = { label: 'no', score: 4, scores: { yes: 3, no: 4 } };
  const labels = { label: 'yes', score: 0.75, scores: { yes: 0.75, no: 0.25 } };
  const passages = [
    { id: 'a', text: 'A' },
    { id: 'b', text: 'B' },
  ];
  const all: Readonly<Record<string, ContractCall>> = {
    classify: {
      call: of('classify', { text: 'text' }, { labels: ['yes', 'no'] }),
      check: output(classified === 'labels' ? labels : numbers),
    },
    embed: { call: of('embed', { text: 'text' }), check: output({ embedding: [0.6, 0.8] }) },
    rerank: {
      call: of('rerank', { query: 'q', passages }),
      check: output({
        passages: [
          { ...passages[1], score: 0.1 },
          { ...passages[0], score: 0 },
        ],
      }),
    },
    infer: {
      call: of('infer', { X: tensor }, { inputs: { X: format }, outputs: { X: format } }),
      check: output({ X: tensor }),
    },
    chat: {
      call: of('chat', { prompt: 'What is the capital of France?', history: [] }, { maxTokens: 16 }),
      check: output({ text: 'Paris, of course' }),
    },
    transcribe: { call: of('transcribe', { audio: artifact }), check: output({ text: 'RIFF of 364' }) },
  };
  return Object.fromEntries(Object.entries(all).filter(([kind]) => kinds.includes(kind)));
};

/** A tenth of a second of silence. */
export const silence: CallContext['audio'] = {
  async *read() {
    yield new Float32Array(160);
  },
  write: () => Promise.reject(new Error('no audio is written')),
};

/** A call of `classify` with this text. */
export const asking = (model: string, text: string | number): Call => ({
  kind: 'classify',
  model,
  with: { labels: ['yes', 'no'] },
  input: { text },
});
