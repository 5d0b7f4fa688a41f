import type { StageKindName } from '../../../pipelines/stages/index.js';
import { classification } from './classification.js';
import { embed } from './embed.js';
import { infer } from './infer.js';
import type { ModelKind } from './model-kind.js';
import { rerank } from './rerank.js';

export const MODEL_KINDS: ReadonlyMap<StageKindName, ModelKind> = new Map([
  ['infer', infer],
  ['embed', embed],
  ['classify', classification],
  ['rerank', rerank],
]);
