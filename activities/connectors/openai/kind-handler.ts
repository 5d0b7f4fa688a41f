import type { OpenAI } from 'openai';
import type { Call, CallContext, Reply } from '../connector.js';

/** How one stage kind calls an OpenAI-compatible server. */
export interface KindHandler {
  invoke(call: Call, context: CallContext & { readonly client: OpenAI }): Promise<Reply>;
  /** The smallest call that runs the model. */
  probe(model: string, client: OpenAI, signal: AbortSignal): Promise<void>;
}
