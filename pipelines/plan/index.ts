export * from './agent.js';
export * from './binding.js';
export { computesWith } from './held.js';
export { MODALITIES, type Modality, mediaUses } from './modalities.js';
export * from './plan.js';
export { readsOf, readsOfGraph } from './reads.js';
export { beforeTurn, saidIn, saidWith } from './said.js';
export { speakerOf, streamsInto } from './streams.js';
export { freeName, LONGEST_TOOL_NAME, toolNameOf, transferName } from './tool-names.js';
