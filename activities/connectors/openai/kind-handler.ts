import type { OpenAI } from 'openai';
import type { Call, CallContext, Reply } from '../connector.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';
import type { RefusedParameters } from './refused-parameters.js';

/** A call's context with the server's client, what is known of the server, and the pool's options. */
export interface OpenAiContext extends CallContext {
  readonly client: OpenAI;
  readonly software: ServerSoftware;
  readonly options: OpenAiOptions;
  /** What the server's models are known to refuse. */
  readonly refused: RefusedParameters;
}

/** How one stage kind calls an OpenAI-compatible server. */
export interface KindHandler {
  invoke(call: Call, context: OpenAiContext): Promise<Reply>;
  /**
   * The smallest call that runs the model.
   * @param pool the pool's options: some models refuse a call without the members that these add
   */
  probe(model: string, client: OpenAI, signal: AbortSignal, pool: OpenAiOptions): Promise<void>;
}
