import { z } from 'zod';
import type { ModelFace, OpenAiSurface, Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mayUse } from '../../runs/caller.js';
import type { RunOptions } from '../../runs/options.js';
import type { Caller } from '../access/caller.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { invalidParam } from './error-body.js';
import { textStages } from './text-stages.js';

/** The endpoints that a kind of model has. */
const ENDPOINTS: Readonly<Record<OpenAiSurface, readonly string[]>> = {
  chat: ['/v1/chat/completions', '/v1/responses'],
  embeddings: ['/v1/embeddings'],
  transcription: ['/v1/audio/transcriptions'],
  speech: ['/v1/audio/speech'],
};

/** A pipeline as one kind of model. */
export interface Model {
  readonly pipeline: Pipeline;
  readonly face: ModelFace;
  readonly form: InputForm;
  /** Fields of the output. */
  readonly outputs: ReadonlySet<string>;
  /** The stages whose text is the answer as it is: while they run it can be told. */
  readonly textStages: ReadonlySet<string>;
}

/** The pipelines that are models, by name. */
export class Models {
  readonly #pipelines: readonly Pipeline[];
  readonly #models: ReadonlyMap<string, Model>;
  /** Seconds since 1970: nothing tells when a pipeline was made, so it is when the gateway learned of it. */
  readonly #since = Math.floor(Date.now() / 1_000);

  constructor(pipelines: readonly Pipeline[]) {
    this.#pipelines = pipelines.filter(({ openai }) => Object.keys(openai).length > 0);
    this.#models = new Map(
      this.#pipelines.flatMap((pipeline) => {
        const form = inputForm(pipeline);
        const faces = Object.entries(pipeline.openai) as [OpenAiSurface, ModelFace][];
        return faces.map(([kind, face]) => [`${kind} ${pipeline.name}`, modelOf(pipeline, face, form)] as const);
      }),
    );
  }

  /** Those that a caller may use, as `/v1/models` lists them; what is not OpenAI's own is beside it. */
  list(caller: Caller) {
    return this.#pipelines.filter((each) => mayUse(caller, each)).map((each) => this.#describe(each));
  }

  describe(name: string, caller: Caller) {
    const pipeline = this.#pipelines.find((each) => each.name === name && mayUse(caller, each));
    if (pipeline === undefined) throw noModel(name, `The model "${name}" does not exist; GET /v1/models lists them.`);
    return this.#describe(pipeline);
  }

  /** Throws `PIPELINE_NOT_FOUND`, also for a model of another kind, whose message tells where it is to be found. */
  get(kind: OpenAiSurface, name: string, caller: Caller): Model {
    const model = this.#models.get(`${kind} ${name}`);
    if (model !== undefined && mayUse(caller, model.pipeline)) return model;
    const { endpoints } = this.describe(name, caller);
    throw noModel(name, `The model "${name}" is not one of this endpoint; it is one of ${endpoints.join(' and ')}.`);
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

function modelOf(pipeline: Pipeline, face: ModelFace, form: InputForm): Model {
  const { plan, output } = pipeline;
  return {
    pipeline,
    face,
    form,
    outputs: new Set(output instanceof z.ZodObject ? Object.keys(output.shape) : []),
    textStages: textStages(plan, face.output),
  };
}

const noModel = (name: string, message: string): MillraceError =>
  new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field: 'model', message: `is "${name}"` }] });

/**
 * The input of a pipeline, of what the kind's request always brings and of parameters by their names. Throws `INVALID_INPUT`
 * for a parameter that the pipeline has no field for, and for what does not fit; `about` is what the request calls its matter.
 */
export function inputFor(
  { face, form, pipeline: { name } }: Model,
  given: JsonObject,
  parameters: Readonly<Record<string, Json | undefined>>,
  fields: Readonly<Record<string, string>>,
  about: string,
): JsonObject {
  const more = Object.entries(parameters).flatMap(([param, value]): [string, Json][] => {
    const field = fields[param] ?? param;
    if (value === undefined || value === null) return [];
    if (form.fields.has(field)) return [[field, value]];
    if (face.ignore.has(param)) return [];
    throw invalidParam(param, `"${name}" does not take it; leave it out`);
  });
  return parsed(form, { ...given, ...Object.fromEntries(more) }, (field) => (field === face.input ? about : field));
}

/** Checks an input; the first thing that is wrong with it is told by the parameter that its top field came by. */
export function parsed(form: InputForm, input: JsonObject, paramOf: (field: string) => string): JsonObject {
  try {
    return form.parse(input);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'INVALID_INPUT') throw error;
    const [first] = error.details.fields ?? [];
    throw invalidParam(paramOf(first?.field.split('.', 1)[0] ?? 'body'), first?.message ?? error.message);
  }
}

/** The options of a run of which only these fields count, those of them that there are: stages that others need do not run. */
export function onlyOutputs({ pipeline, outputs }: Model, fields: readonly string[]): RunOptions {
  const wanted = fields.filter((field) => outputs.has(field)).sort();
  const all = isJsonObject(pipeline.plan.output) ? Object.keys(pipeline.plan.output) : [];
  return wanted.length < all.length ? { outputs: wanted } : {};
}
