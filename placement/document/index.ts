export {
  calledPools,
  deviceQueue,
  poolQueue,
  readPlacement,
  sealPlacement,
  servedModel,
  variantsApart,
} from './document.js';
export {
  isSchedule,
  placementOf,
  readSchedule,
  type ScaledPool,
  type ScheduleDocument,
  type ScheduledHour,
  sealSchedule,
} from './schedule.js';
export type { Degraded, PlacedPool, PlacementDocument, Predicted, StageFigure } from './schema.js';
