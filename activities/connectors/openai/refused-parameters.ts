import { APIError } from 'openai/core/error';
import { shortened } from '../http-fault.js';
import type { Question } from './question.js';

/** Parameters that some models refuse with 400, which names the parameter in `param`, and the codes of that error. */
const CODES = {
  /** The model takes only its own temperature, or none. */
  temperature: ['unsupported_value', 'unsupported_parameter'],
  /** The model takes the token limit only as `max_completion_tokens`. */
  max_tokens: ['unsupported_parameter'],
} as const;

type Refusable = keyof typeof CODES;

const isRefusable = (param: unknown): param is Refusable => typeof param === 'string' && Object.hasOwn(CODES, param);

/**
 * How LiteLLM, Bedrock and Anthropic refuse a conversation with calls of tools that comes without tools, as that for an agent's last answer does. Some of
 * them refuse `tool_choice: none` too.
 */
const LACKS_TOOLS = /without `tools=` param|toolconfig field must be defined|must define tools/i;
const NAMES_CHOICE = /tool_?choice/i;

/** What is known of a model: the parameters that it refuses, and that it wants the tools of a conversation's calls. */
type Known = Refusable | 'lacking tools' | 'tool_choice';

/**
 * Which parameters the models of one server refuse, as OpenAI's reasoning models refuse a temperature, and the older name of the token
 * limit. Chats and agents have both unasked, so all their calls of such a model would fail. So would all that have calls and no tools, of Claude.
 */
export class RefusedParameters {
  readonly #models = new Map<string, Set<Known>>();

  /**
   * The question as its model takes it: without a temperature, with the newer name of the limit, or with the tools that its conversation calls, none of
   * which may be called.
   */
  accepted(question: Question): Question {
    const refused = this.#models.get(question.model);
    let asked = question;
    if (refused?.has('lacking tools') && asked.tools === undefined) asked = withTools(asked);
    if (refused?.has('tool_choice') && asked.tool_choice === 'none') {
      const { tool_choice: _, ...rest } = asked;
      asked = rest;
    }
    if (refused?.has('temperature')) {
      const { temperature: _, ...rest } = asked;
      asked = rest;
    }
    const { max_tokens, ...rest } = asked;
    return max_tokens !== undefined && refused?.has('max_tokens')
      ? { max_completion_tokens: max_tokens, ...rest }
      : asked;
  }

  /**
   * Whether a call failed only by a parameter that it had and that can be refused, or by tools that it had not. That is then known of the model, and
   * `accepted` gives another question.
   */
  learn(question: Question, error: unknown): boolean {
    if (!(error instanceof APIError) || error.status !== 400) return false;
    const refused = refusedIn(question, error);
    if (refused === undefined) return false;
    const known = this.#models.get(question.model);
    if (known) known.add(refused);
    else this.#models.set(question.model, new Set([refused]));
    return true;
  }
}

function refusedIn(question: Question, { param, code, message }: APIError): Known | undefined {
  if (isRefusable(param) && question[param] !== undefined) {
    const codes: readonly string[] = CODES[param];
    return codes.includes(String(code)) ? param : undefined;
  }
  const text = shortened(message);
  if (question.tools === undefined && calledIn(question).length > 0 && LACKS_TOOLS.test(text)) return 'lacking tools';
  // Chats send no such choice: it came with the tools.
  return question.tool_choice === 'none' && NAMES_CHOICE.test(text) ? 'tool_choice' : undefined;
}

/** Names of the tools that a conversation has called. */
const calledIn = ({ messages }: Question): string[] => [
  ...new Set(
    messages.flatMap((message) =>
      message.role === 'assistant'
        ? (message.tool_calls ?? []).flatMap((call) => ('function' in call ? call.function.name : []))
        : [],
    ),
  ),
];

/** With the tools that its conversation has called, of which nothing but the names is known here. */
function withTools(question: Question): Question {
  const parameters = { type: 'object', properties: {} };
  const tools = calledIn(question).map((name) => ({ type: 'function' as const, function: { name, parameters } }));
  return tools.length === 0 ? question : { ...question, tools, tool_choice: 'none' };
}
