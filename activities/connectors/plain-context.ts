import type { CallContext } from './connector.js';

/** The context of a call that has no media and that nobody watches: of a model that the worker itself asks, or of a bench. */
export const plainContext = (signal: AbortSignal): CallContext => ({
  signal,
  audio: { read: refuse, write: refuse },
  emit: () => undefined,
  checkpoint: () => undefined,
});

function refuse(): never {
  throw new Error('this call has no audio');
}
