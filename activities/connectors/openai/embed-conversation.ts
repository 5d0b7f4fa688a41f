import type { JsonObject } from '../../../pipelines/json.js';
import type { OpenAiPart } from './content-parts.js';
import type { OpenAiOptions } from './options.js';

/** What a conversation has besides the item. */
export type Frame = Partial<NonNullable<OpenAiOptions['conversation']>>;

/** vLLM then gives the end of the conversation to the model as it is, with the tokens that its tokenizer adds to texts. */
const LEFT_OPEN = { continue_final_message: true, add_special_tokens: true };

/**
 * A request for one vector by vLLM's chat form of `/v1/embeddings`. What belongs around the item differs by model
 * (github.com/vllm-project/vllm, examples/pooling/embed/vision_embedding_online.py): Qwen3-VL-Embedding has a system message and
 * an open turn of the assistant, VLM2Vec and DSE-Qwen2-VL a text behind the image, CLIP and SigLIP nothing.
 */
export function conversationOf(item: readonly OpenAiPart[], { system, mediaText, open }: Frame): JsonObject {
  const isText = item.every(({ type }) => type === 'text');
  const behind = isText || mediaText === undefined ? [] : [text(mediaText)];
  const messages = [
    ...(system === undefined ? [] : [{ role: 'system', content: [text(system)] }]),
    { role: 'user', content: [...item, ...behind] },
    ...(open ? [{ role: 'assistant', content: [text('')] }] : []),
  ];
  return { messages, ...(open && LEFT_OPEN) } as unknown as JsonObject;
}

const text = (said: string) => ({ type: 'text' as const, text: said });
