import type { JsonObject } from '../../../pipelines/json.js';
import type { ChatOptions, ChatParameters } from '../../../pipelines/stages/index.js';
import { tokenLimit } from './completion.js';
import { constrained, expectFormats } from './constrain.js';
import type { OpenAiContext } from './kind-handler.js';
import { sentTo } from './strict.js';
import { boundTo } from './structured.js';
import { thinkingOf } from './thinking.js';

/** Parameters of a `chat` call: the definition's options and the call's own. */
export interface ChatWith extends ChatParameters, Pick<ChatOptions, 'thinkingTokens' | 'constrain'> {
  readonly system?: string;
  readonly schema?: JsonObject;
  /** `false`: the reply is not bound to the schema; `data` is present if it happens to fit. */
  readonly bind?: boolean;
  /** An invalid tool call is returned together with its error; absent: the reply fails with `INVALID_OUTPUT`. */
  readonly wrongCalls?: 'report';
}
type OfferedTool = NonNullable<ChatParameters['tools']>[number];
type FormOfCaller = Extract<ChatParameters['output'], object>;
type Server = Pick<OpenAiContext, 'client' | 'software'>;

/** A call's parameters as members of the request. Throws `CAPABILITY_MISSING` for what the server cannot do. */
export function parametersOf(wanted: ChatWith, server: Server) {
  const { client, software } = server;
  const { maxTokens, temperature, topP, topK, minP, stop, seed, presencePenalty, frequencyPenalty } = wanted;
  const { logprobs, reasoningEffort: effort, thinkingTokens, constrain, schema, bind, output } = wanted;
  if ((schema !== undefined && bind !== false) || output !== undefined) expectFormats(software);
  return {
    // Servers count reasoning as part of the reply.
    ...(maxTokens !== undefined && tokenLimit(client, maxTokens + (thinkingTokens ?? 0))),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && { top_k: topK }),
    ...(minP !== undefined && { min_p: minP }),
    // llama.cpp returns none at all without alternatives.
    ...(logprobs !== undefined && {
      logprobs: true,
      top_logprobs: software === 'llama.cpp' ? Math.max(1, logprobs) : logprobs,
    }),
    ...thinkingOf({ effort, tokens: thinkingTokens }, software),
    ...(constrain !== undefined && constrained(constrain, software)),
    ...(stop !== undefined && { stop: [...stop] }),
    ...(seed !== undefined && { seed }),
    ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
    ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    ...(schema !== undefined && bind !== false && boundTo(schema, sentTo(server, schema))),
    ...(output === 'json' && { response_format: { type: 'json_object' as const } }),
    ...(typeof output === 'object' && boundToCallers(output, server)),
    ...toolsOf(wanted, server),
  };
}

function boundToCallers({ schema, strict = false }: FormOfCaller, server: Server) {
  return boundTo(schema as JsonObject, sentTo(server, schema as JsonObject, strict));
}

function toolsOf({ tools = [], toolChoice, parallelToolCalls }: ChatWith, server: Server) {
  // Some servers refuse an empty list, and some call tools despite `tool_choice: none`.
  if (tools.length === 0 || toolChoice === 'none') return {};
  return {
    tools: tools.map((tool) => toolOf(tool, server)),
    ...(toolChoice !== undefined && { tool_choice: choiceOf(toolChoice) }),
    ...(parallelToolCalls !== undefined && { parallel_tool_calls: parallelToolCalls }),
  };
}

const choiceOf = (choice: Exclude<NonNullable<ChatParameters['toolChoice']>, 'none'>) =>
  typeof choice === 'string' ? choice : { type: 'function' as const, function: { name: choice.name } };

/**
 * `strict` binds the arguments to the schema on vLLM; `tool_choice` does not. A definition's own tools are bound where the
 * server takes their schemas; for tools of a single call the caller decides.
 */
function toolOf({ name, description, schema, strict: asked }: OfferedTool, server: Server) {
  const { strict, schema: parameters } = sentTo(server, schema as JsonObject, asked);
  return { type: 'function' as const, function: { name, description, strict, parameters } };
}
