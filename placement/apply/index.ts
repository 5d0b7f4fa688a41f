/** Output of a placement: configurations and commands of model servers, the models file, Kubernetes manifests. */
export { type Generated, generate } from './generate.js';
export { shellWords } from './shell.js';
