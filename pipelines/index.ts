/** The face of Millrace for authors of pipelines. */
export * from './artifact.js';
export * from './definition/index.js';
export * from './errors.js';
export { type Audio, audio } from './media.js';
export type { Plan, StagePlan, StageRecord } from './plan/index.js';
export {
  approve,
  type CodeFunction,
  chat,
  code,
  embed,
  type StageUse,
  synthesize,
  transcribe,
} from './stages/index.js';
