import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type Conversation, promptOf, refuseMore } from '../../conversation.js';
import { WholeText } from '../../whole-text.js';
import type { BoundMap } from '../bind.js';
import type { Sources } from '../encode.js';
import { respond, type TensorKind } from '../kind.js';
import { needed, texts, wholeOutput, withPart } from '../read.js';

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
    expectUnbound(given);
    let text = '';
    let growing: WholeText | undefined;
    for await (const { outputs } of respond(call, context, sourcesOf(given, map))) {
      const whole = wholeOutput(map, outputs);
      if (whole) return { output: whole };
      const [bound, tensor] = needed(map, 'text', outputs);
      const part = texts(bound, tensor).join('');
      if (bound.responses !== 'whole') {
        text = withPart(text, part, bound);
        if (part !== '') emit(part);
        continue;
      }
      growing ??= new WholeText();
      const more = growing.next(part);
      if (more !== '') emit(more);
      text = part;
    }
    const rest = growing?.last(text) ?? '';
    if (rest !== '') emit(rest);
    return { output: { text, finish: 'stop' } };
  },
  example: { prompt: 'ok', maxTokens: 1, sampling: { max_tokens: 1, temperature: 0 }, stream: false },
};

interface Wanted extends Conversation {
  readonly constrain?: unknown;
  readonly logprobs?: unknown;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
}

/** Throws `CAPABILITY_MISSING` for what the model would ignore and the caller relies on. */
function expectUnbound({ constrain, logprobs }: Wanted): void {
  const wrong = constrain !== undefined ? 'a constraint of the reply' : logprobs !== undefined ? 'logprobs' : undefined;
  if (wrong === undefined) return;
  const message = `${wrong} cannot be sent by tensors of text: name a pool of a server of OpenAI's API`;
  throw new MillraceError('CAPABILITY_MISSING', message);
}

function sourcesOf(wanted: Wanted, map: BoundMap): Sources {
  const { maxTokens, temperature, topP, topK, minP, seed, stop, presencePenalty, frequencyPenalty } = wanted;
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
      min_p: minP,
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
