import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { type TensorField, tensorFields } from './fields.js';

/** A pipeline as a model of the protocol. Its version is the plan's. */
export interface ServedModel {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  readonly inputs: readonly TensorField[];
  readonly outputs: readonly TensorField[];
}

/** The pipelines as models, by name. */
export class Models {
  readonly #models: ReadonlyMap<string, ServedModel>;

  constructor(pipelines: readonly Pipeline[]) {
    this.#models = new Map(
      pipelines.map((pipeline) => [
        pipeline.name,
        {
          pipeline,
          form: inputForm(pipeline),
          inputs: tensorFields(pipeline.inputSchema),
          outputs: tensorFields(pipeline.outputSchema),
        },
      ]),
    );
  }

  /** @param mayUse whether the caller may know of a pipeline */
  all(mayUse: (pipeline: Pipeline) => boolean): ServedModel[] {
    return [...this.#models.values()].filter(({ pipeline }) => mayUse(pipeline));
  }

  /**
   * Throws `PIPELINE_NOT_FOUND`, also for a version that is not the one served.
   * @param version empty for whichever is served
   */
  find(name: string, version: string, mayUse: (pipeline: Pipeline) => boolean): ServedModel {
    const model = this.#models.get(name);
    if (model === undefined || !mayUse(model.pipeline)) throw notFound('model', `no pipeline is named "${name}"`);
    const served = model.pipeline.plan.version;
    if (version === '' || version === served) return model;
    throw notFound('version', `the pipeline "${name}" is served in version ${served}, not "${version}"`);
  }
}

const notFound = (field: string, message: string) =>
  new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field, message }] });
