import { classify } from './classify.js';
import { embed } from './embed.js';
import { infer } from './infer.js';
import type { KindHandler } from './kind-handler.js';
import { rerank } from './rerank.js';
import { synthesize } from './synthesize.js';
import { transcribe } from './transcribe.js';

export const KIND_HANDLERS: ReadonlyMap<string, KindHandler> = new Map([
  ['transcribe', transcribe],
  ['embed', embed],
  ['synthesize', synthesize],
  ['classify', classify],
  ['rerank', rerank],
  ['infer', infer],
]);
