/** Stages that read and write channels: an LLM whose sentences are spoken while it goes on. */

export { listen } from './listen.js';
export { type PassingOn, passOnEntries } from './pass-on.js';
export { inOnePiece, passOnPieces } from './pass-on-pieces.js';
export { type ProducingParts, produceText } from './produce.js';
export { produceEntries } from './produce-entries.js';
export { type SpeakingParts, speakStream, speakWhole } from './speak.js';
export type { SpokenChunk } from './spoken-chunk.js';
export { StepStreams } from './step-streams.js';
