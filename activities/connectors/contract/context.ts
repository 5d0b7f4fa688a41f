import type { CallContext } from '../connector.js';
import type { Contract } from './contract.js';

/** Far above what a call takes on a loaded machine, far below a test's limit. */
const LIMIT_MS = 60_000;

/** The signal of a call that nobody aborts. */
export const limit = (): AbortSignal => AbortSignal.timeout(LIMIT_MS);

/** Media of connectors that have none. */
export const noAudio: CallContext['audio'] = {
  read: () => refuse(),
  write: () => refuse(),
};

function refuse(): never {
  throw new Error('the contract gives no audio: set `audio`');
}

/** The context of one call. */
export const contextOf = (
  { audio = noAudio, bytes }: Pick<Contract, 'audio' | 'bytes'>,
  signal = limit(),
  emit: CallContext['emit'] = () => undefined,
): CallContext => ({ signal, audio, ...(bytes && { bytes }), checkpoint: () => undefined, emit });
