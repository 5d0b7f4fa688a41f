import { z } from 'zod';
import { invalid, unknownOption } from '../definition/invalid.js';
import type { PolicyOptions } from '../definition/policy.js';
import { type Duration, timerMs } from '../duration.js';
import type { StageTool } from '../plan/agent.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import { MOST_FILES } from '../stages/sandbox.js';
import type { Effects } from '../stages/traits.js';
import { checkKeys, offered, type Tool, type ToolPolicy } from './tool.js';

/** Limits of one call. The operator's limits for the sandbox apply if they are lower. */
export interface CodeToolLimits {
  /** Time limit of the code. Default 10 s. */
  readonly time?: Duration;
  /** Memory limit of the code, in bytes. Default: the sandbox's. */
  readonly memoryBytes?: number;
  /** Maximum characters of the result, and of the printed output. Default: the sandbox's. */
  readonly outputCharacters?: number;
}

/** Options of `codeTool`. */
export interface CodeToolOptions extends ToolPolicy {
  /** Name of the sandbox in the worker's file of sandboxes. */
  readonly sandbox: string;
  /** Default `run_code`. */
  readonly name?: string;
  /** Default: what the language offers in the sandbox that comes with Millrace. */
  readonly description?: string;
  /** Default `javascript`. */
  readonly language?: string;
  readonly limits?: CodeToolLimits;
  /** Whether the code reads artifacts as files, and its own files become artifacts. Default: neither. */
  readonly files?: boolean;
  /** Side effects of the code. Default `none`, for a sandbox without network. Otherwise a call is attempted once. */
  readonly effects?: Effects;
}

const OWN_KEYS = ['sandbox', 'language', 'limits', 'files', 'effects'];
const LIMITS = ['time', 'memoryBytes', 'outputCharacters'];
const EFFECTS: readonly Effects[] = ['none', 'possible', 'intended'];
const LANGUAGE = /^[a-z][a-z0-9+#.-]{0,31}$/;

/** Longer code than a model writes in one call. */
const LONGEST_CODE = 200_000;

/** Attempts of a call that may have effects. */
const ONCE: PolicyOptions = { retry: { attempts: 1 } };
/** Time of an attempt beside that of the code, for a place in the sandbox and its start. */
const BESIDE_MS = 20_000;
/** Stated even where its author names no time: an attempt is to outlast the code, whatever the operator allows. */
const USUAL_MS = 10_000;
/** The same times as those of other tools. */
const LEAST_ATTEMPT_MS = 30_000;
const LEAST_TOTAL_MS = 120_000;

/**
 * Runs code written by the model, in a sandbox that the operator has configured under this name in the worker's file
 * `MILLRACE_SANDBOXES`. The model gets errors in the code as a result, and can correct them.
 *
 * ```ts
 * const compute = codeTool({ sandbox: 'scripts', limits: { time: '5s' } });
 * ```
 */
export function codeTool(options: CodeToolOptions): Tool {
  const { sandbox, name = 'run_code', language = 'javascript', limits = {}, files = false, effects = 'none' } = options;
  checkKeys({ ...options, name }, OWN_KEYS);
  if (typeof sandbox !== 'string' || sandbox === '') throw invalid(`${name}.sandbox`, 'must name a sandbox');
  if (typeof language !== 'string' || !LANGUAGE.test(language))
    throw invalid(`${name}.language`, 'must be the name of a language in lower case, such as javascript or python');
  if (!EFFECTS.includes(effects)) throw invalid(`${name}.effects`, `must be one of ${EFFECTS.join(', ')}`);
  if (typeof files !== 'boolean') throw invalid(`${name}.files`, 'must be true or false');
  const limited = limitsOf(name, limits);
  const attempt = Math.max(LEAST_ATTEMPT_MS, limited.timeMs + BESIDE_MS);
  const usual: PolicyOptions = {
    ...(effects !== 'none' && ONCE),
    timeout: { attempt, total: Math.max(LEAST_TOTAL_MS, attempt) },
  };
  const { description = describe(language, files), ...policy } = options;
  const plan: StageTool = {
    ...offered({ ...policy, name, description }, jsonSchemaOf(argumentsOf(files), `${name}.input`), usual),
    by: 'stage',
    kind: 'sandbox',
    ...(effects !== 'none' && { effects }),
    model: sandbox,
    with: { language, ...limited, ...(files && { files }) },
  };
  return { plan, functions: new Map() };
}

function limitsOf(
  name: string,
  limits: CodeToolLimits,
): { timeMs: number; memoryBytes?: number; outputCharacters?: number } {
  if (typeof limits !== 'object' || limits === null)
    throw invalid(`${name}.limits`, `must be an object with ${LIMITS.join(', ')}`);
  const unknown = Object.keys(limits).find((key) => !LIMITS.includes(key));
  if (unknown !== undefined) throw unknownOption(`${name}.limits`, unknown, LIMITS);
  const { time, memoryBytes, outputCharacters } = limits;
  for (const [key, value] of Object.entries({ memoryBytes, outputCharacters })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      throw invalid(`${name}.limits.${key}`, 'must be a whole number of 1 or more');
  }
  return {
    timeMs: time === undefined ? USUAL_MS : timerMs(time, `${name}.limits.time`),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(outputCharacters !== undefined && { outputCharacters }),
  };
}

const code = z.string().min(1).max(LONGEST_CODE).describe('The whole program');
const file = z.object({
  name: z.string().min(1).max(255).describe('Name of the file for the code'),
  uri: z.string().describe('Address of an artifact: artifact://…'),
});

const argumentsOf = (files: boolean): z.ZodType =>
  files
    ? z.object({ code, files: z.array(file).max(MOST_FILES).optional().describe('Artifacts that the code reads') })
    : z.object({ code });

const JAVASCRIPT = [
  'Runs JavaScript in a sandbox. `result` is the value of the last expression, `stdout` what console.log has printed.',
  'await works at the top level, return does not.',
  'There are no imports, no network, no timers and no DOM, and nothing is kept from one call to the next.',
  'If the code fails, `error` says why: correct it and call again.',
];
const JAVASCRIPT_FILES =
  'readFile(name) gives a text file as a string and any other as a Uint8Array; writeFile(name, content) makes a file.';

const otherLanguage = (language: string): readonly string[] => [
  `Runs a program in ${language} in a sandbox. \`stdout\` is what it has printed.`,
  'Nothing is kept from one call to the next. If the code fails, `error` says why: correct it and call again.',
];
const OTHER_FILES = 'It reads files, and makes files, in its working directory.';

function describe(language: string, files: boolean): string {
  const isOwn = language === 'javascript';
  const lines = isOwn ? JAVASCRIPT : otherLanguage(language);
  return [...lines, ...(files ? [isOwn ? JAVASCRIPT_FILES : OTHER_FILES] : [])].join(' ');
}
