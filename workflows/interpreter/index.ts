export { ChannelPieces, ChannelValues } from './channel-pieces.js';
export type { Deadline } from './deadline.js';
export {
  type Answering,
  HANDED_BACK,
  interrupts,
  type PieceReader,
  type Pieces,
  type PieceWriter,
  type Reading,
  type RunHost,
  type Shown,
  type Writing,
} from './host.js';
export { interpret } from './interpreter.js';
export { answerOf, interpretSegment } from './run-segment.js';
export { fittingRows } from './shorter-rows.js';
export { stageTableMarkdown } from './stage-table.js';
export { Waits } from './waits.js';
