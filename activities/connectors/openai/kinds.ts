import type { StageKindName } from '../../../pipelines/stages/index.js';
import { chat } from './chat.js';
import { classification } from './classification.js';
import { embed } from './embed.js';
import type { ServedKind } from './kind.js';
import { rerank } from './rerank.js';
import { synthesize } from './synthesize.js';
import { transcribe } from './transcribe.js';

export const KINDS: ReadonlyMap<StageKindName, ServedKind> = new Map([
  ['chat', chat],
  ['classify', classification],
  ['embed', embed],
  ['rerank', rerank],
  ['transcribe', transcribe],
  ['synthesize', synthesize],
]);
