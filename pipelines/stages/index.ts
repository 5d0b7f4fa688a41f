import { approveKind } from './approve.js';
import { chatKind } from './chat.js';
import { codeKind } from './code.js';
import { embedKind } from './embed.js';
import type { StageKind } from './kind.js';
import { synthesizeKind } from './synthesize.js';
import { transcribeKind } from './transcribe.js';

/** Every stage kind. A new one is a file beside these and a row here; a connector then offers it under the same name. */
export const STAGE_KINDS = {
  transcribe: transcribeKind,
  embed: embedKind,
  chat: chatKind,
  synthesize: synthesizeKind,
  code: codeKind,
  approve: approveKind,
} as const satisfies Record<string, StageKind>;

export type StageKindName = keyof typeof STAGE_KINDS;

export { approve } from './approve.js';
export * from './chat.js';
export { code } from './code.js';
export * from './embed.js';
export type { CodeFunction, StageKind, StageUse } from './kind.js';
export * from './synthesize.js';
export * from './transcribe.js';
