import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Call, Reply } from '../connector.js';

/** `POST /v1/chat/completions`, not streamed: one system and one user message to one reply. */
export async function chat(client: OpenAI, call: Call, signal: AbortSignal): Promise<Reply> {
  const { system, maxTokens, temperature } = call.with;
  const completion = await client.chat.completions.create(
    {
      model: call.model,
      messages: [
        ...(typeof system === 'string' ? [{ role: 'system' as const, content: system }] : []),
        { role: 'user', content: call.input.prompt as string },
      ],
      // The older name of `max_completion_tokens`: the one that every compatible server knows.
      ...(typeof maxTokens === 'number' && { max_tokens: maxTokens }),
      ...(typeof temperature === 'number' && { temperature }),
    },
    { signal },
  );
  return { output: { text: textOf(completion) }, usage: usageOf(completion.usage) };
}

/** Not every server fills the fields that OpenAI's types promise. */
type Loose<T> = { readonly [K in keyof T]?: T[K] | null };

function textOf({ choices }: Loose<OpenAI.ChatCompletion>): string {
  const choice: Loose<OpenAI.ChatCompletion.Choice> | undefined = choices?.[0];
  const message: Loose<OpenAI.ChatCompletionMessage> | undefined = choice?.message ?? undefined;
  if (message?.refusal) throw new MillraceError('BACKEND_REJECTED', `the model refuses: ${message.refusal}`);
  if (typeof message?.content === 'string') return message.content;
  throw new MillraceError(
    'INVALID_OUTPUT',
    choice
      ? `the completion has no text (finish_reason ${choice.finish_reason ?? 'missing'})`
      : 'the completion has no choice',
  );
}

const usageOf = (usage: OpenAI.CompletionUsage | undefined) => ({
  ...(typeof usage?.prompt_tokens === 'number' && { inputTokens: usage.prompt_tokens }),
  ...(typeof usage?.completion_tokens === 'number' && { outputTokens: usage.completion_tokens }),
});
