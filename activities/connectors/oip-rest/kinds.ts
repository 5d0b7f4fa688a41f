import { classify } from './classify.js';
import { embed } from './embed.js';
import { infer } from './infer.js';
import type { KindHandler } from './kind-handler.js';
import { rerank } from './rerank.js';

export const KIND_HANDLERS: ReadonlyMap<string, KindHandler> = new Map([
  ['infer', infer],
  ['embed', embed],
  ['classify', classify],
  ['rerank', rerank],
]);
