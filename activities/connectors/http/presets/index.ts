import { azureml } from './azureml.js';
import { bentoml, bentomlTask } from './bentoml.js';
import { kserveV1 } from './kserve-v1.js';
import { litserve } from './litserve.js';
import { paiEas, paiEasQueue } from './pai-eas.js';
import { type Preset, presetOf } from './preset.js';
import { rayServe } from './ray-serve.js';
import { sagemaker } from './sagemaker.js';
import { sagemakerAsync } from './sagemaker-async.js';
import { tensorflowServing } from './tensorflow-serving.js';
import { tgi } from './tgi.js';
import { torchserve } from './torchserve.js';
import { vertex } from './vertex.js';

export type { Preset, PresetValues } from './preset.js';

/** Serving systems by the name that pools give as `preset`. To add one, add a file of data here and its name below. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  [
    kserveV1,
    tensorflowServing,
    torchserve,
    bentoml,
    bentomlTask,
    tgi,
    rayServe,
    litserve,
    azureml,
    sagemaker,
    sagemakerAsync,
    vertex,
    paiEas,
    paiEasQueue,
  ].map((preset) => [preset.name, presetOf(preset)]),
);
