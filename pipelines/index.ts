/** The face of Millrace for authors of pipelines. */
export * from './artifact.js';
export * from './definition/index.js';
export * from './errors.js';
export { type Audio, audio } from './media.js';
export type { Plan, StagePlan, StageRecord } from './plan/index.js';
export { approve, chat, code, embed, synthesize, transcribe } from './stages/index.js';
