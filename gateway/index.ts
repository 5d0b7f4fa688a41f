/** The doors: protocols by which pipelines are called. */
export * from './access/index.js';
export type { GatewayDeps, GatewayLimits, GatewayParts } from './deps.js';
export type { Door, DoorGateway, DoorOrder } from './doors/index.js';
export { createGateway } from './gateway.js';
export type { ReadinessCheck } from './readiness.js';
