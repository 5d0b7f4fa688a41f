export { deviceQueue, poolQueue, readPlacement, sealPlacement } from './document.js';
export type { Degraded, PlacedPool, PlacementDocument, Predicted, StageFigure } from './schema.js';
