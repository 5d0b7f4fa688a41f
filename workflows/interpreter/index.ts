export { HANDED_BACK, interrupts, type Pieces, type RunHost, type Shown } from './host.js';
export { interpret } from './interpreter.js';
export { answerOf, interpretSegment } from './run-segment.js';
export { stageTableMarkdown } from './stage-table.js';
export { Waits } from './waits.js';
