import type { Connectors } from '../../activities/connectors/index.js';
import type { ModelsConfig } from '../../activities/pools/index.js';
import { CodeFunctions } from '../../activities/stage/code-functions.js';
import { place } from '../../placement/place.js';
import { poolDescriptions } from '../../workers/models.js';
import { inspectDeployment } from '../../workers/pipelines.js';
import type { Settings } from '../../workers/settings.js';
import { inConfig, modelsSource } from '../models-source.js';
import { type Check, errorText, fail, pass } from './finding.js';

/** Whether every pipeline is valid and can be placed, with the same checks as the gateway at start-up. */
export const pipelinesCheck = (settings: Settings, models: ModelsConfig, connectors: Connectors): Check => {
  const { MILLRACE_PIPELINES: module, config } = settings;
  const about = module ?? (config.pipelines ? inConfig(config.file) : 'the catalogue');
  const setting = module === undefined && config.pipelines ? '' : ' or MILLRACE_PIPELINES';
  const remedy = `correct the definition${setting}; gateway and worker do not start otherwise`;
  return {
    id: 'pipelines.placed',
    about,
    remedy,
    async run() {
      const { pipelines, functions, errors } = await inspectDeployment(settings);
      new CodeFunctions(functions);
      const poolOf = poolDescriptions(models, connectors);
      const invalid = errors.map((error) =>
        fail('pipelines.placed', error.details.pipeline ?? about, errorText(error), remedy),
      );
      const valid = pipelines.map(({ name, plan }) => {
        try {
          const stages = Object.keys(place(plan, poolOf, settings.MILLRACE_TASK_QUEUE)).length;
          return pass('pipelines.placed', name, `version ${plan.version}, ${stages} stages`);
        } catch (error) {
          const models = modelsSource(settings) ?? 'the file of MILLRACE_MODELS';
          return fail('pipelines.placed', name, errorText(error), `add the model to ${models}`);
        }
      });
      return [...invalid, ...valid];
    },
  };
};
