import type { StageError } from '../../../pipelines/run/stage-error.js';
import type { RunHost } from '../host.js';
import { STOPPED, type Stopped } from '../state.js';
import { isFailure } from '../value.js';

/**
 * Failure of a call that ends the agent while another candidate follows. Concurrent calls finish first, because the
 * next candidate must know what was done; waits for a person are abandoned.
 */
export class Failing {
  failure: StageError | undefined;
  #resolve: () => void = () => undefined;
  readonly pointless = new Promise<void>((resolve) => {
    this.#resolve = resolve;
  });

  /** Rethrows errors that are not failures of the candidate. */
  take(error: unknown, host: RunHost): Stopped {
    if (!isFailure(error, host)) throw error;
    this.failure ??= error;
    this.#resolve();
    return STOPPED;
  }
}
