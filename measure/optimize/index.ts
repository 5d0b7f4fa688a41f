/** Variants of a model: made, measured and compared. */
export { type Example, readEvaluation } from './evaluation.js';
export { filesOf } from './files.js';
export { type Answer, LlmServer } from './llm-server.js';
export { computeTypes, ggufPlan, type OptimiseTools, optimise } from './optimise.js';
export type { OutputFile } from './output-file.js';
export type { Report } from './report.js';
export { runScript } from './runner.js';
export type { Subject } from './subject.js';
export { type SearchedCalls, searchedCalls } from './triton/calls.js';
export { shortName, type TritonReport, tritonFilesOf } from './triton/files.js';
export { searchTriton } from './triton/search-triton.js';
export { spaceOf } from './triton/settings.js';
export { TrialModel } from './triton/trial-model.js';
export { ctranslate2Variants, type Family, onnxVariants, type VariantPlan } from './variants.js';
