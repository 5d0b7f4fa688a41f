/** The face of Millrace for authors of pipelines. */
export * from './artifact.js';
export * from './definition/index.js';
export * from './errors.js';
export {
  type Audio,
  type AudioFormat,
  audio,
  type Dtype,
  type Image,
  image,
  json,
  type Stream,
  type Tensor,
  tensor,
} from './media.js';
export type { Plan, StagePlan, StageRecord } from './plan/index.js';
export {
  type AgentBudget,
  type AgentInput,
  type AgentOptions,
  type AgentOutput,
  type AgentSession,
  type AgentToolCall,
  agent,
  approve,
  type ChatInput,
  type ChatMessage,
  type ChatOptions,
  type ChatOutput,
  type ChatTool,
  type ClassifyOutput,
  type CodeFunction,
  chat,
  classify,
  code,
  embed,
  type HttpInput,
  type HttpOutput,
  http,
  infer,
  type Passage,
  rerank,
  retrieve,
  type ScoredPassage,
  type SplitOutput,
  type StageUse,
  split,
  synthesize,
  transcribe,
  upsert,
} from './stages/index.js';
export * from './tools/index.js';
