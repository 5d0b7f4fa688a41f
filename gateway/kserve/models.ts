import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { type TensorField, tensorFields } from './fields.js';

/**
 * The version of every model: Triton's clients parse versions as numbers, and one plan of a pipeline is served at a
 * time.
 */
export const MODEL_VERSION = '1';

/** A pipeline as a model of the protocol. */
export interface ServedModel {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  readonly inputs: readonly TensorField[];
  readonly outputs: readonly TensorField[];
}

/** The models, by name. */
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

  /** @param mayUse whether the caller may use a pipeline */
  all(mayUse: (pipeline: Pipeline) => boolean): ServedModel[] {
    return [...this.#models.values()].filter(({ pipeline }) => mayUse(pipeline));
  }

  /**
   * Throws `PIPELINE_NOT_FOUND`, also for a version that is not served.
   * @param version empty for the current one; the version of a plan ensures that this plan is used
   */
  find(name: string, version: string, mayUse: (pipeline: Pipeline) => boolean): ServedModel {
    const model = this.#models.get(name);
    if (model === undefined || !mayUse(model.pipeline)) throw notFound('model', `no pipeline is named "${name}"`);
    const plan = model.pipeline.plan.version;
    if (version === '' || version === MODEL_VERSION || version === plan) return model;
    const message = `the pipeline "${name}" is served as version ${MODEL_VERSION} (plan ${plan}), not "${version}"`;
    throw notFound('version', message);
  }
}

const notFound = (field: string, message: string) =>
  new MillraceError('PIPELINE_NOT_FOUND', message, { fields: [{ field, message }] });
