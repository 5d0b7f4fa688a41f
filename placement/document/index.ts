export { readPlacement, sealPlacement } from './document.js';
export { calledPools, deviceQueue, poolQueue, replicaName, replicaNames, servedModel, variantsApart } from './pools.js';
export {
  isSchedule,
  placementOf,
  readSchedule,
  type ScaledPool,
  type ScheduleDocument,
  type ScheduledHour,
  sealSchedule,
} from './schedule.js';
export {
  type Degraded,
  type PlacedPool,
  type PlacementDocument,
  type Predicted,
  placementSchema,
  type StageFigure,
} from './schema.js';
