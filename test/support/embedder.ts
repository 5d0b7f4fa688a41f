import type { Embedder } from '../../activities/cache/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { address } from './runs.js';

/** The real MiniLM on the tests' Triton, as the semantic cache sees it. */
export function openEmbedder(): Embedder & { close(): void } {
  const triton = tritonConnector().connect(address('TRITON_URL'));
  return {
    fingerprint: (signal) => triton.fingerprint('minilm', signal),
    async embed(text, signal) {
      const call = { kind: 'embed', model: 'minilm', with: {}, input: { text } } as const;
      const { output } = await triton.invoke(call, plainContext(signal));
      return Float32Array.from(output.embedding as readonly number[]);
    },
    close: () => triton.close(),
  };
}
