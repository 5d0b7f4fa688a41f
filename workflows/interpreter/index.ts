export { type Host, StageError } from './host.js';
export { interpret } from './interpreter.js';
export { stageTableMarkdown } from './stage-table.js';
