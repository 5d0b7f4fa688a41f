import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { BoundMap } from '../bind.js';
import type { Sources } from '../encode.js';
import { respond, type TensorKind } from '../kind.js';
import type { PromptTemplate } from '../map-schema.js';
import { needed, texts, wholeOutput } from '../read.js';

/**
 * One turn of an LLM that takes a prompt as text and returns text: Triton's vLLM and TensorRT-LLM backends. Each response
 * of a decoupled model is emitted as it arrives; leaving early cancels the generation. What such models do not report,
 * the reason of the end and the number of tokens, the output lacks; tools, images and bound replies need a server of
 * OpenAI's API, as Triton's own frontend is.
 */
export const chat: TensorKind = {
  async invoke(call, context) {
    const { map, emit } = context;
    const given = { ...call.with, ...call.input } as Wanted;
    refuseMore(given);
    let text = '';
    for await (const { outputs } of respond(call, context, sourcesOf(given, map))) {
      const whole = wholeOutput(map, outputs);
      if (whole) return { output: whole };
      const [bound, tensor] = needed(map, 'text', outputs);
      const part = texts(bound, tensor).join('');
      const all = bound.responses === 'whole' ? part : text + part;
      if (all.startsWith(text) && all !== text) emit(all.slice(text.length));
      text = all;
    }
    return { output: { text, finish: 'stop' } };
  },
  example: { prompt: 'ok', maxTokens: 1, sampling: { max_tokens: 1, temperature: 0 }, stream: false },
};

interface Turn {
  readonly role: string;
  readonly content: string;
}

interface Wanted {
  readonly prompt?: string;
  readonly system?: string;
  readonly history?: readonly Turn[];
  readonly images?: readonly unknown[];
  readonly tools?: readonly unknown[];
  readonly schema?: unknown;
  readonly output?: unknown;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
}

function refuseMore({ tools = [], images = [], schema, output }: Wanted): void {
  const wrong =
    tools.length > 0 ? 'tools' : images.length > 0 ? 'images' : schema || output ? 'a bound reply' : undefined;
  if (wrong === undefined) return;
  const message = `${wrong} cannot be sent to a model that takes text alone: name a pool of a server of OpenAI's API`;
  throw new MillraceError('CAPABILITY_MISSING', message);
}

function sourcesOf(wanted: Wanted, map: BoundMap): Sources {
  const { maxTokens, temperature, topP, topK, seed, stop, presencePenalty, frequencyPenalty } = wanted;
  const template = map.inputs.find(({ from }) => from === 'prompt')?.template ?? 'plain';
  return {
    prompt: promptOf(wanted, template),
    ...given({ maxTokens, temperature, topP, topK, seed, stop }),
    stream: map.decoupled,
    // vLLM's names: https://docs.vllm.ai/en/stable/api/vllm/sampling_params.html
    sampling: given({
      max_tokens: maxTokens,
      temperature,
      top_p: topP,
      top_k: topK,
      seed,
      stop,
      presence_penalty: presencePenalty,
      frequency_penalty: frequencyPenalty,
    }),
    input: given({ prompt: wanted.prompt, history: wanted.history, system: wanted.system }) as JsonObject,
  };
}

const given = (values: Readonly<Record<string, unknown>>): Sources =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Sources;

const CHATML: Exclude<PromptTemplate, string> = {
  system: '<|im_start|>system\n{content}<|im_end|>\n',
  user: '<|im_start|>user\n{content}<|im_end|>\n',
  assistant: '<|im_start|>assistant\n{content}<|im_end|>\n',
  start: '<|im_start|>assistant\n',
};
/** For models without a template: a prompt alone is sent as it is. */
const PLAIN: Exclude<PromptTemplate, string> = {
  system: '{content}\n\n',
  user: 'User: {content}\n',
  assistant: 'Assistant: {content}\n',
  start: 'Assistant:',
};

/** The conversation as one text. */
function promptOf({ system, history = [], prompt }: Wanted, template: PromptTemplate): string {
  const turns = [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    ...history,
    ...(prompt === undefined ? [] : [{ role: 'user', content: prompt }]),
  ];
  const [only] = turns;
  if (template === 'plain' && turns.length === 1 && only?.role === 'user') return only.content;
  const forms = template === 'plain' ? PLAIN : template === 'chatml' ? CHATML : template;
  const said = turns.map(({ role, content }) => {
    const form = role === 'assistant' ? forms.assistant : role === 'system' ? forms.system : forms.user;
    // Not `replace`: in a text, `$&` means something there.
    return form.split('{content}').join(content);
  });
  return said.join('') + forms.start;
}
