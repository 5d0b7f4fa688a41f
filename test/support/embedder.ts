import type { Embedder } from '../../activities/cache/index.js';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { address } from './runs.js';

/** The real MiniLM on the tests' Triton, as the semantic cache sees it. */
export function openEmbedder(): Embedder & { close(): void } {
  const triton = tritonConnector().connect(address('TRITON_URL'));
  const noAudio = () => {
    throw new Error('an embedding has no audio');
  };
  const context = { audio: { read: noAudio, write: noAudio }, checkpoint: () => undefined, emit: () => undefined };
  return {
    fingerprint: (signal) => triton.fingerprint('minilm', signal),
    async embed(text, signal) {
      const call = { kind: 'embed', model: 'minilm', with: {}, input: { text } } as const;
      const { output } = await triton.invoke(call, { ...context, signal });
      return Float32Array.from(output.embedding as readonly number[]);
    },
    close: () => triton.close(),
  };
}
