import { mediaFields } from '../../media/index.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { MediaKind } from '../../pipelines/media.js';
import { mayUse } from '../../runs/caller.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { type Model, Models } from '../openai/models.js';
import { pipelineNotFound } from '../rest/run-routes.js';

/** A pipeline as an agent. */
export interface Agent {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  /** Absent: the pipeline is no chat model, and takes its input as data. */
  readonly model?: Model;
  /** Media that a message may have. */
  readonly takes: ReadonlySet<MediaKind>;
  /** Media that an output may have. */
  readonly gives: ReadonlySet<MediaKind>;
  /** How it knows the earlier turns of a context. */
  readonly memory: 'session' | 'history' | 'none';
}

/** The agents of a gateway: all pipelines. */
export class Agents {
  readonly #deps: Pick<GatewayDeps, 'pipelines'>;
  readonly #models: Models;
  readonly #forms = new Map<string, InputForm>();

  constructor(deps: Pick<GatewayDeps, 'pipelines'>) {
    this.#deps = deps;
    this.#models = new Models(deps.pipelines);
  }

  /** Those that the caller may use. */
  names(caller: Caller): readonly string[] {
    return this.#deps.pipelines.filter((each) => mayUse(caller, each)).map(({ name }) => name);
  }

  /** Throws `PIPELINE_NOT_FOUND`. */
  get(name: string, caller: Caller): Agent {
    const pipeline = this.#deps.pipelines.find((each) => each.name === name && mayUse(caller, each));
    if (pipeline === undefined) throw pipelineNotFound(name, this.#deps, caller);
    const form = this.#forms.get(name) ?? inputForm(pipeline);
    this.#forms.set(name, form);
    const model = this.#models.find('chat', name, caller);
    return {
      pipeline,
      form,
      ...(model && { model }),
      takes: model ? takenBy(model) : new Set(),
      gives: new Set(mediaFields(pipeline.output).map(({ kind }) => kind)),
      memory: form.fields.has('session') ? 'session' : model && remembers(model) ? 'history' : 'none',
    };
  }
}

const remembers = ({ face, form }: Model): boolean => face.list === true || form.fields.has('history');

function takenBy({ face, form }: Model): ReadonlySet<MediaKind> {
  if (form.has('parts.0') || form.has(`${face.input}.0.parts.0`)) return new Set(['image', 'audio', 'video', 'file']);
  return new Set(form.has('images.0') && form.kindAt('images.0') === 'image' ? ['image'] : []);
}
