import { z } from 'zod';
import { type ModelFace, type OpenAiSurface, type Pipeline, spokenField } from '../../pipelines/definition/index.js';
import { didYouMean } from '../../pipelines/did-you-mean.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mayUse } from '../../runs/caller.js';
import type { RunOptions } from '../../runs/options.js';
import type { CheckedInput } from '../../runs/sent-input.js';
import type { Caller } from '../access/caller.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { invalidParam } from './error-body.js';
import { agentsAmong, callingAgents, textStages } from './text-stages.js';

/** The endpoints of each kind of model. */
const ENDPOINTS: Readonly<Record<OpenAiSurface, readonly string[]>> = {
  chat: ['/v1/chat/completions', '/v1/responses'],
  embeddings: ['/v1/embeddings'],
  transcription: ['/v1/audio/transcriptions'],
  speech: ['/v1/audio/speech'],
  images: ['/v1/images/generations'],
};

/** A pipeline as a model of one kind. */
export interface Model {
  readonly pipeline: Pipeline;
  readonly face: ModelFace;
  readonly form: InputForm;
  /** The fields of the output. */
  readonly outputs: ReadonlySet<string>;
  /** Stages whose text is the answer unchanged, so that it can be streamed. */
  readonly textStages: ReadonlySet<string>;
  /** Most items of the list that it takes, by its schema. */
  readonly most?: number;
  /** The field of the output with the answer as audio. */
  readonly spoken?: string;
  /** Those of them that are agents: each turn has a text, and the answer is the last. */
  readonly agents: ReadonlySet<string>;
  /** Agents whose calls are listed in the output, with the position of the field among `face.executed`. */
  readonly callers: ReadonlyMap<string, number>;
}

/** The models by name. */
export class Models {
  readonly #pipelines: readonly Pipeline[];
  readonly #others: readonly Pipeline[];
  readonly #models: ReadonlyMap<string, Model>;
  /** Reported as the creation time, in seconds since 1970: when the gateway was started. */
  readonly #since = Math.floor(Date.now() / 1_000);

  constructor(pipelines: readonly Pipeline[]) {
    this.#pipelines = pipelines.filter(({ openai }) => Object.keys(openai).length > 0);
    this.#others = pipelines.filter(({ noModel }) => noModel !== undefined);
    this.#models = new Map(
      this.#pipelines.flatMap((pipeline) => {
        const form = inputForm(pipeline);
        const faces = Object.entries(pipeline.openai) as [OpenAiSurface, ModelFace][];
        return faces.map(([kind, face]) => [`${kind} ${pipeline.name}`, modelOf(pipeline, kind, face, form)] as const);
      }),
    );
  }

  /** The models that a caller may use, in the form of `/v1/models`, with fields beyond OpenAI's. */
  list(caller: Caller) {
    return this.#pipelines.filter((each) => mayUse(caller, each)).map((each) => this.#describe(each));
  }

  describe(name: string, caller: Caller) {
    const pipeline = this.#pipelines.find((each) => each.name === name && mayUse(caller, each));
    if (pipeline === undefined) {
      const other = this.#others.find((each) => each.name === name && mayUse(caller, each));
      const why = other ? `: the pipeline of this name is none, since ${other.noModel}` : '';
      const usable = this.list(caller).map(({ id }) => id);
      const meant = other ? '' : didYouMean(name, usable);
      throw noModel(name, `The model "${name}" does not exist${why}; GET /v1/models lists the models${meant || '.'}`);
    }
    return this.#describe(pipeline);
  }

  /** Undefined if there is no such model, or the caller may not use it. */
  find(kind: OpenAiSurface, name: string, caller: Caller): Model | undefined {
    const model = this.#models.get(`${kind} ${name}`);
    return model !== undefined && mayUse(caller, model.pipeline) ? model : undefined;
  }

  /** Throws `PIPELINE_NOT_FOUND`, also for a model of another kind; the message names its endpoints. */
  get(kind: OpenAiSurface, name: string, caller: Caller): Model {
    const model = this.find(kind, name, caller);
    if (model !== undefined) return model;
    const { endpoints } = this.describe(name, caller);
    throw noModel(name, `The model "${name}" is not served by this endpoint; use ${endpoints.join(' or ')}.`);
  }

  #describe({ name, plan, description, openai }: Pipeline) {
    return {
      id: name,
      object: 'model' as const,
      created: this.#since,
      owned_by: 'millrace',
      version: plan.version,
      description,
      endpoints: (Object.keys(openai) as OpenAiSurface[]).flatMap((kind) => ENDPOINTS[kind]),
    };
  }
}

function modelOf(pipeline: Pipeline, kind: OpenAiSurface, face: ModelFace, form: InputForm): Model {
  const { plan, output } = pipeline;
  const spoken = spokenField(pipeline);
  const most = kind === 'embeddings' && face.list ? mostItems(pipeline, face.input) : undefined;
  const found = textStages(plan, face.output);
  const among = agentsAmong(plan, found);
  // Elsewhere a stream has one text, so turns, and texts that are void, cannot be told.
  const tellsTurns = kind === 'chat';
  const stages = tellsTurns ? found : new Set([...found].filter((stage) => !among.has(stage)));
  return {
    ...(spoken !== undefined && { spoken }),
    ...(most !== undefined && { most }),
    pipeline,
    face,
    form,
    outputs: new Set(output instanceof z.ZodObject ? Object.keys(output.shape) : []),
    textStages: stages,
    agents: tellsTurns ? among : new Set(),
    callers: callingAgents(plan, face.executed),
  };
}

/** The bound of a list that its schema states. */
function mostItems({ input }: Pipeline, field: string): number | undefined {
  const schema = input instanceof z.ZodObject ? (input.shape[field] as z.ZodType | undefined) : undefined;
  return schema && z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }).maxItems;
}

const noModel = (name: string, message: string): MillraceError =>
  new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field: 'model', message: `is "${name}"` }] });

/**
 * A pipeline's input from the required fields of a request and its optional parameters. Throws `INVALID_INPUT` for a
 * parameter without a field, and for invalid values; `about` names the request's main parameter.
 */
export function inputFor(
  { face, form, pipeline: { name } }: Model,
  given: JsonObject,
  parameters: Readonly<Record<string, Json | undefined>>,
  fields: Readonly<Record<string, string>>,
  about: string,
): CheckedInput {
  const params = new Map<string, string>([[face.input, about]]);
  const more = Object.entries(parameters).flatMap(([param, value]): [string, Json][] => {
    const field = fields[param] ?? param;
    if (value === undefined || value === null) return [];
    params.set(field, param);
    if (form.fields.has(field)) return [[field, value]];
    if (face.ignore.has(param)) return [];
    throw invalidParam(param, `"${name}" does not support it; leave it out`);
  });
  return parsed(form, { ...given, ...Object.fromEntries(more) }, (field) => params.get(field) ?? field);
}

/** Validates an input. The error names the parameter from which the first invalid field comes. */
export function parsed(form: InputForm, given: JsonObject, paramOf: (field: string) => string): CheckedInput {
  try {
    return { input: form.parse(given), given };
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'INVALID_INPUT') throw error;
    const [first] = error.details.fields ?? [];
    throw invalidParam(paramOf(first?.field.split('.', 1)[0] ?? 'body'), first?.message ?? error.message);
  }
}

/** What a request asks for by these fields, whatever else the output has: an agent's lists of calls are found by its schema. */
export const asksFor = ({ face }: Model, fields: readonly string[]): JsonObject => ({
  outputs: fields.filter((field) => !face.calls.includes(field) && !face.executed.includes(field)).sort(),
});

/**
 * Options of a run that limit it to these fields, as far as the output has them: stages that only other fields need do
 * not run.
 */
export function onlyOutputs({ pipeline, outputs }: Model, fields: readonly string[]): RunOptions {
  const wanted = fields.filter((field) => outputs.has(field)).sort();
  const all = isJsonObject(pipeline.plan.output) ? Object.keys(pipeline.plan.output) : [];
  return wanted.length < all.length ? { outputs: wanted } : {};
}
