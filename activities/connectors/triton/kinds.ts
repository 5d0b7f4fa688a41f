import type { StageKindName } from '../../../pipelines/stages/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import type { TritonClient } from './client.js';
import { embed } from './embed.js';
import { synthesize } from './synthesize.js';
import type { Tensor } from './tensors.js';
import { transcribe } from './transcribe.js';

/** How one stage kind is spoken to a Triton model: which tensors go in, which come out. */
export interface ModelKind {
  invoke(call: Call, context: CallContext & { readonly client: TritonClient }): Promise<Reply>;
  /** Inputs of the smallest call that runs the model. */
  canary(): Tensor[];
}

export const MODEL_KINDS: ReadonlyMap<StageKindName, ModelKind> = new Map([
  ['transcribe', transcribe],
  ['embed', embed],
  ['synthesize', synthesize],
]);
