import type { RefusableCall } from './channel-calls.js';
import type { CompletionCall, ForeignCall } from './foreign.js';
import type { OutcomeCall } from './segment.js';
import type { RecordedCall } from './stage-call.js';

/**
 * Second argument of an activity of the run's task queue that returns what was too large for the result of a local activity; the first is that of
 * the call within. Results of local activities travel in one message with the commands of their workflow task; this one is an event of its own.
 */
export interface WholeCall extends RefusableCall {
  readonly whole: OutcomeCall | ForeignCall | CompletionCall | RecordedCall;
}
