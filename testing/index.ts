/** `millrace/testing`: pipelines in unit tests, without servers. */
export type { Decided, DecisionScript } from './decisions.js';
export { type RealCall, recorded } from './recorded.js';
export type { TestCall } from './runner.js';
export {
  type Answer,
  failure,
  hang,
  type Output,
  type Script,
  type ScriptedCall,
  type ScriptFunction,
  toolCalls,
  used,
} from './scripts.js';
export { TestError } from './test-error.js';
export { type TestOptions, type TestRun, type TestRunError, testPipeline } from './test-pipeline.js';
