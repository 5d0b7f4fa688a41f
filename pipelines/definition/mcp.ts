import { invalid, unknownOption } from './invalid.js';

/** What clients of MCP see of a pipeline besides its tool. */
export interface McpOption {
  /** Prompts that a person picks in a client; their text goes to the client’s own model. */
  readonly prompts?: readonly McpPrompt[];
  /** Documents that a client reads by their uri, such as the guidelines that the pipeline works by. */
  readonly documents?: readonly McpDocument[];
}

export interface McpPrompt {
  /** Letters, digits, `_`, `-` and `.`. */
  readonly name: string;
  readonly description: string;
  /** By name. */
  readonly arguments?: Readonly<Record<string, McpPromptArgument>>;
  /** What the user says. `{topic}` is replaced with the argument `topic`. */
  readonly text: string;
  /** Uris of documents of the pipeline that go before the text. */
  readonly documents?: readonly string[];
}

interface McpPromptArgument {
  readonly description?: string;
  /** Default true. One that is left out is an empty text. */
  readonly required?: boolean;
  /** What clients offer to the person who types. Other texts are accepted too. */
  readonly suggestions?: readonly string[];
}

export interface McpDocument {
  /** Of any scheme but `artifact`. */
  readonly uri: string;
  readonly name: string;
  readonly description?: string;
  /** Its media type: `text/markdown`. */
  readonly mime: string;
  /** Its text, or its bytes; up to 4 MiB. */
  readonly content: string | Uint8Array;
}

const KEYS = ['prompts', 'documents'];
const PROMPT_KEYS = ['name', 'description', 'arguments', 'text', 'documents'];
const ARGUMENT_KEYS = ['description', 'required', 'suggestions'];
const DOCUMENT_KEYS = ['uri', 'name', 'description', 'mime', 'content'];

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const ARGUMENT = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const MIME = /^[\w.+-]+\/[\w.+-]+(;.*)?$/;
const MOST = 100;
/** Longest suggestion, in UTF-16 units: it is a line of a menu. */
const LONGEST_SUGGESTION = 200;
/** Largest document, in bytes: a message of the protocol is held in memory as a whole. */
const MOST_BYTES = 4_194_304;

/** Longest text of a prompt, also with its arguments, in UTF-16 units: a template may have an argument many times. */
export const LONGEST_PROMPT = 1_048_576;

/** The parts of a prompt’s text: texts, and names of arguments. */
export const promptParts = (text: string): readonly (string | { readonly argument: string })[] =>
  text.split(/\{([A-Za-z_][A-Za-z0-9_]*)\}/).map((part, i) => (i % 2 === 1 ? { argument: part } : part));

/** Equal for uris that differ only in their spelling, as clients write them: `HTTPS://A.test` and `https://a.test/`. */
export const comparableUri = (uri: string): string => (URL.canParse(uri) ? new URL(uri).href : uri);

/** The author's option. Throws `INVALID_PIPELINE` naming the prompt or document. */
export function checkedMcp(option: McpOption): Required<McpOption> {
  if (typeof option !== 'object' || option === null || Array.isArray(option))
    throw invalid('mcp', `must be an object with ${KEYS.join(', ')}`);
  checkKeys('mcp', option, KEYS);
  const { prompts = [], documents = [] } = option;
  checkList('mcp.documents', documents, ({ uri }) => comparableUri(String(uri)));
  for (const document of documents) checkDocument(document);
  checkList('mcp.prompts', prompts, ({ name }) => name);
  for (const prompt of prompts) checkPrompt(prompt, documents);
  return { prompts, documents };
}

function checkList<T>(where: string, list: readonly T[], keyOf: (entry: T) => string): void {
  if (!Array.isArray(list) || list.some((entry) => typeof entry !== 'object' || entry === null))
    throw invalid(where, 'must be a list of objects');
  if (list.length > MOST) throw invalid(where, `has more than ${MOST} entries`);
  const keys = list.map(keyOf);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw invalid(where, `has "${twice}" twice`);
}

function checkDocument(document: McpDocument): void {
  const { uri, name, description, mime, content } = document;
  const where = `mcp.documents.${String(uri)}`;
  checkKeys(where, document, DOCUMENT_KEYS);
  if (typeof uri !== 'string' || !URL.canParse(uri)) throw invalid(`${where}.uri`, 'must be a uri: docs://refunds');
  if (/^artifact:/i.test(uri)) throw invalid(`${where}.uri`, 'must not begin with artifact: these are media of runs');
  if (typeof name !== 'string' || name === '') throw invalid(`${where}.name`, 'must be a text');
  if (description !== undefined && typeof description !== 'string')
    throw invalid(`${where}.description`, 'must be a text');
  if (typeof mime !== 'string' || !MIME.test(mime))
    throw invalid(`${where}.mime`, 'must be a media type: text/markdown');
  if (typeof content !== 'string' && !(content instanceof Uint8Array))
    throw invalid(`${where}.content`, 'must be a text or a Uint8Array');
  if (bytesOf(content) > MOST_BYTES) throw invalid(`${where}.content`, `has more than ${MOST_BYTES} bytes`);
}

function checkPrompt(prompt: McpPrompt, declared: readonly McpDocument[]): void {
  const { name, description, arguments: given = {}, text, documents = [] } = prompt;
  const where = `mcp.prompts.${String(name)}`;
  checkKeys(where, prompt, PROMPT_KEYS);
  if (typeof name !== 'string' || !NAME.test(name))
    throw invalid(`${where}.name`, 'must be 1 to 64 letters, digits, _, - and .');
  if (typeof description !== 'string' || description === '') throw invalid(`${where}.description`, 'must be a text');
  if (typeof text !== 'string' || text === '') throw invalid(`${where}.text`, 'must be a text');
  if (text.length > LONGEST_PROMPT) throw invalid(`${where}.text`, `has more than ${LONGEST_PROMPT} characters`);
  for (const [argument, about] of Object.entries(given)) {
    if (!ARGUMENT.test(argument)) throw invalid(`${where}.arguments.${argument}`, 'must be letters, digits and _');
    checkKeys(`${where}.arguments.${argument}`, about, ARGUMENT_KEYS);
    checkSuggestions(`${where}.arguments.${argument}.suggestions`, about.suggestions);
  }
  for (const part of promptParts(text)) {
    if (typeof part !== 'string' && !Object.hasOwn(given, part.argument))
      throw invalid(`${where}.text`, `names {${part.argument}}, which is not one of its arguments`);
  }
  const found = declared.filter(({ uri }) => documents.includes(uri));
  const unknown = documents.find((uri) => !found.some((document) => document.uri === uri));
  if (unknown !== undefined) throw invalid(`${where}.documents`, `names "${unknown}", which the pipeline lacks`);
  if (found.length < documents.length) throw invalid(`${where}.documents`, 'names a document twice');
  const bytes = found.reduce((sum, { content }) => sum + bytesOf(content), 0);
  if (bytes > MOST_BYTES) throw invalid(`${where}.documents`, `have more than ${MOST_BYTES} bytes together`);
}

function checkSuggestions(where: string, suggestions: readonly string[] | undefined): void {
  if (suggestions === undefined) return;
  const fits = (each: unknown) => typeof each === 'string' && each !== '' && each.length <= LONGEST_SUGGESTION;
  if (!Array.isArray(suggestions) || !suggestions.every(fits))
    throw invalid(where, `must be a list of texts of 1 to ${LONGEST_SUGGESTION} characters`);
  if (suggestions.length > MOST) throw invalid(where, `has more than ${MOST} entries`);
}

const bytesOf = (content: string | Uint8Array): number =>
  typeof content === 'string' ? new TextEncoder().encode(content).length : content.length;

function checkKeys(where: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) throw unknownOption(where, unknown, known);
}
