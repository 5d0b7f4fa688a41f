import type { ReasoningEffort } from '../../../pipelines/stages/index.js';
import type { ServerSoftware } from './options.js';

/** Members of a request that limit reasoning, as each server names them. */
export function thinkingOf(
  { effort, tokens }: { readonly effort: ReasoningEffort | undefined; readonly tokens: number | undefined },
  software: ServerSoftware,
): Record<string, unknown> {
  // vLLM and SGLang pass the effort on to the chat template; llama.cpp only takes what is meant for the template.
  const forTemplate = {
    ...(effort !== undefined && software === 'llama.cpp' && effort !== 'none' && { reasoning_effort: effort }),
    ...(effort === 'none' && software !== 'other' && software !== 'triton' && { enable_thinking: false }),
  };
  return {
    ...(effort !== undefined && software !== 'llama.cpp' && { reasoning_effort: effort }),
    ...(Object.keys(forTemplate).length > 0 && { chat_template_kwargs: forTemplate }),
    ...(tokens !== undefined && limitOf(tokens, software)),
  };
}

/** Servers without such a limit are held to that of the whole reply. */
function limitOf(tokens: number, software: ServerSoftware): Record<string, number> {
  switch (software) {
    case 'vllm':
      return { thinking_token_budget: tokens };
    case 'llama.cpp':
      return { thinking_budget_tokens: tokens };
    default:
      return {};
  }
}
