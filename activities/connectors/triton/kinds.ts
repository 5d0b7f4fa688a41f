import type { StageKindName } from '../../../pipelines/stages/index.js';
import { classification } from './classification.js';
import { embed } from './embed.js';
import { infer } from './infer.js';
import type { ModelKind } from './model-kind.js';
import { rerank } from './rerank.js';
import { synthesize } from './synthesize.js';
import { transcribe } from './transcribe.js';

export const MODEL_KINDS: ReadonlyMap<StageKindName, ModelKind> = new Map([
  ['transcribe', transcribe],
  ['embed', embed],
  ['synthesize', synthesize],
  ['classify', classification],
  ['rerank', rerank],
  ['infer', infer],
]);
