export { type SemanticCache, semantic } from './cache.js';
export type { Control, EachOptions, RepeatOptions } from './control.js';
export type { FaceOption, ModelFace, ModelFaces, ModelKind, OpenAiOption } from './openai.js';
export { OPENAI_PARAMETERS } from './openai-parameters.js';
export * from './operators.js';
export * from './pipeline.js';
export type { PolicyOptions } from './policy.js';
export { type Assignable, type Bind, type Bound, type Ref, text } from './reference.js';
export type { StageOptions } from './stage-options.js';
