import { chat } from './chat.js';
import { classify } from './classify.js';
import { embed } from './embed.js';
import { generate } from './generate.js';
import type { KindHandler } from './kind-handler.js';
import { rerank } from './rerank.js';
import { synthesize } from './synthesize.js';
import { transcribe } from './transcribe.js';

export const KIND_HANDLERS: ReadonlyMap<string, KindHandler> = new Map([
  ['chat', chat],
  ['classify', classify],
  ['embed', embed],
  ['generate', generate],
  ['rerank', rerank],
  ['transcribe', transcribe],
  ['synthesize', synthesize],
]);
