import { a2aKind } from './a2a.js';
import { activityKind } from './activity.js';
import { agentKind } from './agent.js';
import { approveKind } from './approve.js';
import { chatKind } from './chat.js';
import { classifyKind } from './classify.js';
import { codeKind } from './code.js';
import { detectKind } from './detect.js';
import { embedKind } from './embed.js';
import { generateKind } from './generate.js';
import { httpKind } from './http.js';
import { inferKind } from './infer.js';
import type { DefinedKind, StageKind, StageUse } from './kind.js';
import { mediaKind } from './media-work.js';
import { rerankKind, retrieveKind, upsertKind } from './retrieve.js';
import { splitKind } from './split.js';
import { synthesizeKind } from './synthesize.js';
import { transcribeKind } from './transcribe.js';
import { workflowKind } from './workflow.js';

/**
 * Every stage kind. A new kind is a file in this folder and a row here, and is served by a connector under the same
 * name or by a function of the worker.
 */
export const STAGE_KINDS = {
  transcribe: transcribeKind,
  embed: embedKind,
  chat: chatKind,
  synthesize: synthesizeKind,
  classify: classifyKind,
  detect: detectKind,
  generate: generateKind,
  infer: inferKind,
  rerank: rerankKind,
  http: httpKind,
  a2a: a2aKind,
  retrieve: retrieveKind,
  upsert: upsertKind,
  media: mediaKind,
  split: splitKind,
  code: codeKind,
  approve: approveKind,
  agent: agentKind,
  activity: activityKind,
  workflow: workflowKind,
} as const satisfies Record<string, StageKind>;

export type StageKindName = keyof typeof STAGE_KINDS;

/** Kinds made with `defineKind`, by name. */
export type DefinedKinds = ReadonlyMap<string, DefinedKind>;

/** A kind by name: one of Millrace's or of `defined`. */
export const kindNamed = (name: string, defined?: DefinedKinds): StageKind | undefined =>
  Object.hasOwn(STAGE_KINDS, name) ? STAGE_KINDS[name as StageKindName] : defined?.get(name);

/** The kind of a stage as its author states it. */
export const kindOfUse = ({ kind, definitions = [] }: StageUse<never, never>): StageKind | undefined =>
  kindNamed(kind) ?? definitions.find(({ name }) => name === kind);

export { type A2aInput, type A2aOutput, a2aAgent } from './a2a.js';
export { type ActivityOptions, type ActivityStreamOptions, activity, activityStream } from './activity.js';
export { agent } from './agent.js';
export type {
  AgentBudget,
  AgentHandoff,
  AgentInput,
  AgentMemory,
  AgentOptions,
  AgentOutput,
  AgentSaid,
  AgentSession,
} from './agent-options.js';
export { approve } from './approve.js';
export { CALL_KINDS } from './call-kinds.js';
export {
  type ChatInput,
  type ChatMessage,
  type ChatOptions,
  type ChatOutput,
  type ChatParameters,
  type ChatTool,
  type Constraint,
  type ConversationInput,
  chat,
  chatInput,
  converse,
  type OnOverflow,
  type ReasoningEffort,
  speakerName,
  type TokenLogprob,
  tokenLogprobs,
} from './chat.js';
export { type ClassifyOutput, classify } from './classify.js';
export { code, codeName, codeOf, codeStream } from './code.js';
export type { ContentPart } from './content.js';
export {
  defineKind,
  isKindBuilder,
  KIND_NAME,
  type KindBuilder,
  type KindDefinition,
  kindsByName,
} from './define-kind.js';
export { type DetectInput, type Detection, type DetectOutput, detect } from './detect.js';
export * from './embed.js';
export { extraSchema } from './extra.js';
export {
  type Generated,
  type GenerateInput,
  type GenerateOutput,
  generate,
  MOST_GENERATED,
} from './generate.js';
export { type HttpInput, type HttpOutput, http } from './http.js';
export { infer } from './infer.js';
export type {
  AudioSamples,
  CodeArtifacts,
  CodeContext,
  CodeFunction,
  DefinedKind,
  ResumeFrom,
  StageKind,
  StageUse,
  StreamContext,
  StreamFunction,
} from './kind.js';
export { MEDIA_WORK, type MediaWork, media } from './media-work.js';
export { type Passage, rerank, retrieve, type ScoredPassage, upsert } from './retrieve.js';
export { type SplitOutput, split } from './split.js';
export * from './synthesize.js';
export { type AgentToolCall, type ToolCall, toolCalls } from './tool-calls.js';
export { changesElsewhere, goesOnElsewhere, isDefinedKind, streamsOf, traitsOf } from './traits.js';
export * from './transcribe.js';
export { type WorkflowOptions, workflow } from './workflow.js';
export type { Yielded } from './yielded.js';
