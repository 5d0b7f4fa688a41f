export { HANDED_BACK, type Host, interrupts, type Shown, StageError } from './host.js';
export { interpret } from './interpreter.js';
export { answerOf, interpretSegment } from './run-segment.js';
export { groupsOf, isInline, isOneSegment } from './segments.js';
export { stageTableMarkdown } from './stage-table.js';
export { Waits } from './waits.js';
export { wanted } from './wanted.js';
