import { afterAll, describe, it } from 'vitest';
import type { Backend, Call, CallContext, Reply } from '../../activities/connectors/connector.js';
import { type Contract, connectorContract as contract, noAudio } from '../../activities/connectors/contract/index.js';

export { noAudio } from '../../activities/connectors/contract/index.js';

/** The suite that every connector runs, against a real server. */
export const connectorContract = (about: Contract): void => contract({ describe, it, after: afterAll }, about);

/** A backend's reply to one call, for tests beside the shared ones. */
export const invoke = (
  backend: Backend,
  call: Call,
  audio = noAudio,
  emit: CallContext['emit'] = () => undefined,
): Promise<Reply> =>
  backend.invoke(call, { signal: AbortSignal.timeout(60_000), audio, checkpoint: () => undefined, emit });
