/** Output of a placement: configurations and commands of model servers, the models file, Kubernetes manifests. */
export { type Generated, generate } from './generate.js';
export { blocksOf, fieldNames, numbersOf, scalarOf, withFields } from './pbtxt.js';
export { shellLine, shellWords } from './shell.js';
export { type BatchSettings, withBatchSettings } from './triton-config.js';
