import { MillraceError } from '../../pipelines/errors.js';
import { tokenLogprobs } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import type { Answer } from './chat-reply.js';
import type { Parameter } from './conversation.js';
import { invalidParam } from './error-body.js';
import { LOGPROBS } from './logprobs-body.js';
import type { Model } from './models.js';

interface Asked {
  readonly parameters: readonly Parameter[];
  /** The answer is wanted as audio. */
  readonly isSpoken: boolean;
}

/**
 * Whether a request asks for the probabilities of tokens and gets them. Throws `INVALID_INPUT` if the pipeline does not give them,
 * unless its author has the parameter ignored.
 */
export function givesLogprobs({ face, form, outputs, pipeline }: Model, { parameters, isSpoken }: Asked): boolean {
  const asked = parameters.find(({ name }) => name === LOGPROBS);
  if (asked === undefined) return false;
  if (isSpoken) throw invalidParam(asked.param, 'must be false for an answer as audio');
  if (form.fields.has(LOGPROBS) && outputs.has(LOGPROBS)) return true;
  if (face.ignore.has(LOGPROBS)) return false;
  const how = `its input needs a field "${LOGPROBS}" for its chat stage, and its output that stage’s "${LOGPROBS}"`;
  throw invalidParam(asked.param, `"${pipeline.name}" does not give them: ${how}`);
}

/**
 * A run's answer with the probabilities of its tokens. Throws `CAPABILITY_MISSING` if it is a text and the model server has given
 * none; with calls of tools some servers give none.
 * @param param that asks for them
 */
export function withLogprobs(answer: Answer, { output, pipeline }: RunDocument, param: string = LOGPROBS): Answer {
  const { data = [] } = tokenLogprobs.safeParse(output?.[LOGPROBS]);
  if (data.length > 0) return { ...answer, logprobs: data };
  if (answer.text === '' || answer.toolCalls.length > 0) return answer;
  const message = `the model server of "${pipeline}" returns no probabilities of tokens; vLLM, SGLang and llama.cpp do`;
  throw new MillraceError('CAPABILITY_MISSING', message, { fields: [{ field: param, message }] });
}
