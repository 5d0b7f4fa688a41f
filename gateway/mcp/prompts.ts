import { type GetPromptResult, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { LONGEST_PROMPT, type McpDocument, type McpPrompt, promptParts } from '../../pipelines/definition/index.js';
import { declaredBy, take } from './declared.js';
import { contentsOf } from './documents.js';
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

/** The messages of a prompt. Throws the protocol's error for an unknown one, and for arguments that are missing or too long. */
export function getPrompt(
  serving: Serving,
  name: string,
  given: Readonly<Record<string, string>> = {},
): GetPromptResult {
  const found = promptsOf(serving).get(name);
  if (!found) throw refused(`no prompt is named "${name}"; prompts/list lists them`);
  const { prompt, documents } = found;
  const { description, arguments: known = {}, text, documents: uris = [] } = prompt;
  const missing = Object.entries(known).filter(
    ([argument, { required = true }]) => required && !Object.hasOwn(given, argument),
  );
  if (missing.length > 0)
    throw refused(`the prompt "${name}" needs ${missing.map(([argument]) => argument).join(', ')}`);
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

const refused = (message: string) => new ProtocolError(ProtocolErrorCode.InvalidParams, message);
