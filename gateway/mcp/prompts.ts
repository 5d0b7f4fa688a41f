import {
  type GetPromptRequest,
  type GetPromptResult,
  type InputRequiredResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { LONGEST_PROMPT, type McpDocument, type McpPrompt, promptParts } from '../../pipelines/definition/index.js';
import { declaredBy, take } from './declared.js';
import { contentsOf } from './documents.js';
import { type Answers, declines, formOfArguments, inputRequired, withFields } from './missing.js';
import type { Serving } from './serving.js';

/** A prompt with the documents of its pipeline. */
interface Found {
  readonly prompt: McpPrompt;
  readonly documents: readonly McpDocument[];
}

const promptsOf = (serving: Serving): ReadonlyMap<string, Found> =>
  declaredBy(serving, ({ prompts, documents }) => prompts.map((prompt) => [prompt.name, { prompt, documents }]));

export const listPrompts = (serving: Serving) => ({
  prompts: [...promptsOf(serving).values()].map(({ prompt: { name, description, arguments: given = {} } }) => ({
    name,
    description,
    arguments: Object.entries(given).map(([argument, { description: about, required = true }]) => ({
      name: argument,
      ...(about !== undefined && { description: about }),
      required,
    })),
  })),
});

/** A prompt that the caller may use. Throws the protocol's error for an unknown one. */
export function promptOf(serving: Serving, name: string): Found {
  const found = promptsOf(serving).get(name);
  if (!found) throw refused(`no prompt is named "${name}"; prompts/list lists them`);
  return found;
}

/**
 * The messages of a prompt, or a form for the arguments that are missing. Throws the protocol's error for an unknown prompt, for arguments that
 * are too long, and for missing ones where nobody can be asked.
 * @param answers of the client's user so far; undefined if the client cannot ask
 */
export function getPrompt(
  serving: Serving,
  { name, arguments: sent = {} }: GetPromptRequest['params'],
  answers?: Answers,
): GetPromptResult | InputRequiredResult {
  const found = promptOf(serving, name);
  const { prompt } = found;
  const form = formOfArguments(name, Object.fromEntries(lackedBy(prompt, sent)));
  const given = textsIn(answers ? withFields(answers, form, sent) : sent);
  const missing = lackedBy(prompt, given);
  if (missing.length === 0) return messagesOf(serving, found, given);
  if (answers && !declines(answers, form)) return inputRequired(form);
  throw refused(`the prompt "${name}" needs ${missing.map(([argument]) => argument).join(', ')}`);
}

/** The arguments that a prompt needs and does not get. */
const lackedBy = ({ arguments: known = {} }: McpPrompt, given: object) =>
  Object.entries(known).filter(([name, { required = true }]) => required && !Object.hasOwn(given, name));

function messagesOf(
  serving: Serving,
  { prompt: { name, description, text, documents: uris = [] }, documents }: Found,
  given: Readonly<Record<string, string>>,
): GetPromptResult {
  const parts = promptParts(text).map((part) => {
    if (typeof part === 'string') return part;
    return Object.hasOwn(given, part.argument) ? (given[part.argument] ?? '') : '';
  });
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > LONGEST_PROMPT)
    throw refused(`the prompt "${name}" has more than ${LONGEST_PROMPT} characters with these arguments`);
  take(serving, length);
  const before = uris.flatMap((uri) => {
    const document = documents.find((each) => each.uri === uri);
    return document ? [contentOf(serving, document)] : [];
  });
  const said = { type: 'text', text: parts.join('') } as const;
  return { description, messages: [...before, said].map((content) => ({ role: 'user', content })) };
}

/** A document as part of a message: an image that models see, or a resource. */
function contentOf(serving: Serving, document: McpDocument): GetPromptResult['messages'][number]['content'] {
  const contents = contentsOf(serving, document);
  if (document.mime.startsWith('image/') && 'blob' in contents)
    return { type: 'image', data: contents.blob, mimeType: document.mime };
  return { type: 'resource', resource: contents };
}

/** The arguments that are texts: others are missing. */
const textsIn = (given: object): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === 'string'));

const refused = (message: string) => new ProtocolError(ProtocolErrorCode.InvalidParams, message);
