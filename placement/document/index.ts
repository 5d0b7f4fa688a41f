export { readPlacement, sealPlacement } from './document.js';
export { calledPools, deviceQueue, poolQueue, servedModel, variantsApart } from './pools.js';
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
